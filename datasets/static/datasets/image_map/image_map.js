// Draws the map of a dataset's images on a canvas. A pointer or the arrow keys choose the current image; a lasso, a
// rectangle or Space selects images; `onCurrent(image, left, top)` and `onSelection(images)` are called then.
import {addDot, coloursOf, look} from "./colouring.js";
import {View, isInside} from "./view.js";

const NEAR = 14; // pixels from the pointer to an image that counts as pointed at
const DOT = 3; // pixels, half the width; grows as one zooms in
const WHEEL = 0.0015;
const STEPS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

export class ImageMap {
  constructor(canvas, {x, y}, {onCurrent, onSelection, onOpen}) {
    Object.assign(this, {canvas, xs: x, ys: y, onCurrent, onSelection, onOpen});
    this.view = new View(canvas, x, y);
    [this.tool, this.current, this.corner] = ["move", null, null];
    [this.selected, this.hidden, this.lasso, this.pointers] = [new Set(), new Set(), [], new Map()];
    for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave", "wheel", "keydown"]) {
      canvas.addEventListener(kind, (event) => this[`_${kind}`](event), {passive: false});
    }
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  // groups: the number of each image's group, from 0.
  colourBy(groups) {
    this.groups = groups;
    this.hidden.clear();
    this.draw();
  }

  isShown(image) {
    return !this.hidden.has(this.groups[image]);
  }

  select(images) {
    this.selected = new Set(images);
    this.onSelection([...this.selected]);
    this.draw();
  }

  choose(image) {
    this.current = image;
    const [left, top] = image === null ? [0, 0] : this._pixels(image);
    this.onCurrent(image, left, top);
    this.draw();
  }

  zoom(factor) {
    if (factor) this.view.zoomAt(factor, this.canvas.clientWidth / 2, this.canvas.clientHeight / 2);
    else this.view.whole();
    this.choose(this.current);
  }

  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this._paint();
    });
  }

  _paint() {
    const {canvas, view} = this;
    const ratio = devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const size = Math.min(DOT * Math.sqrt(view.zoom), 3 * DOT);
    const style = getComputedStyle(canvas);
    this._paintImages(context, size);
    this._ring(context, [...this.selected], size + 2, style.color, 1.5);
    this._ring(context, this.current === null ? [] : [this.current], size + 5, style.getPropertyValue("--accent"), 3);
    const outline = this.corner === null ? this.lasso : this._rectangle();
    context.lineWidth = 1.5;
    context.beginPath();
    outline.forEach(([left, top], number) => (number ? context.lineTo(left, top) : context.moveTo(left, top)));
    context.closePath();
    context.stroke();
  }

  _paintImages(context, size) {
    const byGroup = new Map();
    for (const image of this._shown()) {
      const group = this.groups[image];
      if (!byGroup.has(group)) byGroup.set(group, []);
      byGroup.get(group).push(image);
    }
    const colours = coloursOf(this.canvas);
    context.globalAlpha = 0.8;
    for (const [group, images] of byGroup) {
      const {colour, shape} = look(group, colours);
      context.fillStyle = colour;
      context.beginPath();
      for (const image of images) addDot(context, shape, ...this._pixels(image), size);
      context.fill();
    }
    context.globalAlpha = 1;
  }

  _ring(context, images, size, colour, width) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    for (const image of images) addDot(context, "circle", ...this._pixels(image), size);
    context.stroke();
  }

  _pixels(image) {
    return this.view.toPixels(this.xs[image], this.ys[image]);
  }

  // The rectangle between the marked image and the current one, in pixels.
  _rectangle() {
    const [[left, top], [right, bottom]] = [this.corner, this.current ?? this.corner].map((image) => this._pixels(image));
    const [x1, x2, y1, y2] = [Math.min(left, right) - 1, Math.max(left, right) + 1, Math.min(top, bottom) - 1, Math.max(top, bottom) + 1];
    return [[x1, y1], [x2, y1], [x2, y2], [x1, y2]];
  }

  _selectWithin(polygon) {
    this.select(this._shown().filter((image) => isInside(...this._pixels(image), polygon)));
  }

  _shown() {
    return [...this.xs.keys()].filter((image) => this.isShown(image));
  }

  // The shown image for which `cost(right, down)`, of its way in pixels from a point, is smallest; null if none is finite.
  _best(left, top, cost) {
    let [best, least] = [null, Infinity];
    for (let image = 0; image < this.xs.length; image++) {
      if (!this.isShown(image)) continue;
      const [x, y] = this._pixels(image);
      const value = cost(x - left, y - top);
      if (value < least) [best, least] = [image, value];
    }
    return best;
  }

  _at(event) {
    const frame = this.canvas.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  _point(event) {
    this.choose(this._best(...this._at(event), (right, down) => (Math.hypot(right, down) <= NEAR ? Math.hypot(right, down) : Infinity)));
  }

  _pointerdown(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this._at(event));
    this.moved = 0;
    this.lasso = (this.tool === "lasso") !== event.shiftKey ? [this._at(event)] : [];
  }

  _pointermove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return this._point(event);
    const now = this._at(event);
    const [right, down] = [now[0] - before[0], now[1] - before[1]];
    this.moved += Math.hypot(right, down);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      this.lasso = [];
      const apart = ([left, top]) => Math.hypot(left - other[0], top - other[1]);
      this.view.zoomAt(apart(now) / Math.max(apart(before), 1), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else if (this.lasso.length) this.lasso.push(now);
    else this.view.moveBy(right, down);
    this.pointers.set(event.pointerId, now);
    if (this.moved > 3) this.choose(null);
  }

  _pointerup(event) {
    this.pointers.delete(event.pointerId);
    const lasso = this.lasso;
    this.lasso = [];
    if (this.moved > 3 && lasso.length > 2) return this._selectWithin(lasso);
    if (this.moved > 3) return;
    const pointed = this.current;
    this._point(event);
    if (this.current !== null && lasso.length) return this._toggle(this.current);
    // A finger has no hover: the first tap shows an image, and the second one opens it.
    if (this.current !== null && (event.pointerType === "mouse" || this.current === pointed)) this.onOpen(this.current);
  }

  _pointercancel(event) {
    this.pointers.delete(event.pointerId);
    this.lasso = [];
    this.draw();
  }

  _pointerleave(event) {
    if (event.pointerType === "mouse" && !this.pointers.size && event.relatedTarget?.closest?.("#map-image") === null) this.choose(null);
  }

  _wheel(event) {
    event.preventDefault();
    this.view.zoomAt(Math.exp(-event.deltaY * WHEEL), ...this._at(event));
    this._point(event);
  }

  _keydown(event) {
    const {key} = event;
    if (STEPS[key]) this._step(...STEPS[key]);
    else if (key === "+" || key === "=") this.zoom(1.5);
    else if (key === "-") this.zoom(1 / 1.5);
    else if (key === "0") this.zoom(0);
    else if (key === "Enter" && this.current !== null) this.onOpen(this.current);
    else if (key === " " && this.current !== null) this._toggle(this.current);
    else if (key.toLowerCase() === "r" && this.current !== null && !event.ctrlKey && !event.metaKey) this._corner();
    else if (key === "Escape") {
      this.corner = null;
      this.select([]);
    } else return;
    event.preventDefault();
  }

  // Go to the next image in a direction: the nearest one, where ways aside count double.
  _step(right, down) {
    const start = this.current === null ? [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2] : this._pixels(this.current);
    const next = this._best(...start, (x, y) => {
      const [ahead, aside] = [x * right + y * down, Math.abs(x * down) + Math.abs(y * right)];
      return this.current === null ? Math.hypot(x, y) : ahead > 0.5 ? ahead + 2 * aside : Infinity;
    });
    if (next === null) return;
    this.view.show(this.xs[next], this.ys[next]);
    this.choose(next);
  }

  _toggle(image) {
    const selected = new Set(this.selected);
    if (!selected.delete(image)) selected.add(image);
    this.select(selected);
  }

  _corner() {
    if (this.corner === null) {
      this.corner = this.current;
      return this.draw();
    }
    const rectangle = this._rectangle();
    this.corner = null;
    this._selectWithin(rectangle);
  }
}
