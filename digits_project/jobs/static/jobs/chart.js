// A line chart as SVG: hover tells the values, dragging zooms in, a double click zooms out, y may be logarithmic.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 260; // usually
const MARGIN = {left: 56, right: 12, top: 10, bottom: 30};
const MOST_DOTS = 60; // more would hide the line
const COLOURS = 8;

function svg(name, attributes = {}, parent = null, text = null) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

function html(name, className, parent, text = "") {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

export function short(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

function niceTicks(from, to, count) {
  const raw = (to - from) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
  const ticks = [];
  for (let tick = Math.ceil(from / step) * step; tick <= to + step * 1e-9; tick += step) {
    ticks.push(Number(tick.toPrecision(12)));
  }
  return ticks;
}

function logTicks(from, to) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.ceil(Math.log10(to)); power += 1) {
    for (const factor of [1, 2, 5]) {
      const tick = factor * 10 ** power;
      if (tick >= from * 0.999 && tick <= to * 1.001) ticks.push(tick);
    }
  }
  return ticks.length > 7 ? ticks.filter((tick) => /^1e/.test(tick.toExponential())) : ticks;
}

export class LineChart {
  // `format` writes a value of y; `log` is whether the chart begins logarithmic; `height` in points.
  constructor(parent, title, {xLabel = "epoch", log = false, format = short, height = HEIGHT} = {}) {
    Object.assign(this, {xLabel, log, height, series: [], zoom: null, hidden: new Set()});
    this.root = html("figure", "d-chart", parent);
    const head = html("figcaption", "d-chart-head", this.root);
    this.title = html("strong", "", head);
    this.call(title, format);
    this.legend = html("span", "d-legend", head);
    this.reset = this.button(head, "Whole", () => this.zoomTo(null));
    this.scale = this.button(head, "", () => this.setLog(!this.log));
    this.scale.title = "Scale of the y axis";
    this.plot = html("div", "d-plot", this.root);
    this.plot.style.minHeight = `${height}px`;
    this.tip = html("div", "d-tip", this.root);
    this.plot.addEventListener("pointermove", (event) => this.hover(event));
    this.plot.addEventListener("pointerleave", () => this.leave());
    this.plot.addEventListener("pointerdown", (event) => this.press(event));
    window.addEventListener("pointerup", (event) => this.release(event));
    this.plot.addEventListener("dblclick", () => this.zoomTo(null));
    new ResizeObserver(() => this.render()).observe(this.plot);
  }

  // What the chart shows, and how its values are written; whoever changes it draws anew.
  call(title, format) {
    this.root.dataset.chart = this.title.textContent = title;
    this.format = format;
  }

  button(parent, text, action) {
    const button = html("button", "d-small", parent, text);
    button.type = "button";
    button.addEventListener("click", action);
    return button;
  }

  // [{name, x: […], y: […], dashed}]; null in y is a gap.
  draw(series) {
    this.series = series.map((one, i) => ({...one, colour: `var(--d-series-${((one.colour ?? i) % COLOURS) + 1})`}));
    const shown = JSON.stringify(this.series.map(({name, colour, dashed}) => [name, colour, dashed]));
    if (shown !== this.labelled) this.legend.replaceChildren(...this.series.map((one) => this.label(one)));
    this.labelled = shown; // a button that somebody is on stays where it is
    this.render();
  }

  label(one) {
    const label = html("button", "d-small d-series", null, one.name);
    label.type = "button";
    label.style.setProperty("--colour", one.colour);
    label.classList.toggle("d-dashed", Boolean(one.dashed));
    label.setAttribute("aria-pressed", String(!this.hidden.has(one.name)));
    label.addEventListener("click", () => {
      if (!this.hidden.delete(one.name)) this.hidden.add(one.name);
      label.setAttribute("aria-pressed", String(!this.hidden.has(one.name)));
      this.render();
    });
    return label;
  }

  setLog(log) {
    this.log = log;
    this.render();
  }

  zoomTo(range) {
    this.zoom = range;
    this.render();
  }

  visible() {
    return this.series.filter((one) => !this.hidden.has(one.name));
  }

  usable(value) {
    return Number.isFinite(value) && (!this.log || value > 0);
  }

  range() {
    const xs = this.visible().flatMap((one) => one.x);
    let [left, right] = this.zoom || [xs.reduce((a, b) => Math.min(a, b), Infinity),
                                      xs.reduce((a, b) => Math.max(a, b), -Infinity)];
    if (!Number.isFinite(left)) [left, right] = [0, 1];
    if (left === right) [left, right] = [left - 0.5, right + 0.5];
    let [low, high] = [Infinity, -Infinity];
    for (const one of this.visible()) {
      one.y.forEach((y, i) => {
        if (this.usable(y) && one.x[i] >= left && one.x[i] <= right) [low, high] = [Math.min(low, y), Math.max(high, y)];
      });
    }
    if (!Number.isFinite(low)) [low, high] = [this.log ? 0.1 : 0, 1];
    if (this.log) return {left, right, low: low / 1.1, high: high * 1.1};
    const room = (high - low || Math.abs(high) || 1) * 0.06;
    return {left, right, low: low >= 0 ? Math.max(0, low - room) : low - room, high: high + room};
  }

  render() {
    this.reset.hidden = !this.zoom;
    this.scale.textContent = this.log ? "linear" : "log";
    const width = this.plot.clientWidth;
    if (!width) return;
    const inner = {width: width - MARGIN.left - MARGIN.right, height: this.height - MARGIN.top - MARGIN.bottom};
    const {left, right, low, high} = this.range();
    const scaleY = this.log ? Math.log10 : (y) => y;
    this.x = (x) => MARGIN.left + ((x - left) / (right - left)) * inner.width;
    this.y = (y) => MARGIN.top + (1 - (scaleY(y) - scaleY(low)) / (scaleY(high) - scaleY(low))) * inner.height;
    this.back = (pixel) => left + ((pixel - MARGIN.left) / inner.width) * (right - left);
    const size = {viewBox: `0 0 ${width} ${this.height}`, width, height: this.height};
    const picture = svg("svg", {...size, role: "img", "aria-label": this.title.textContent});
    this.axes(picture, width, niceTicks(left, right, Math.max(2, Math.floor(inner.width / 60))),
              this.log ? logTicks(low, high) : niceTicks(low, high, 5));
    const clip = `clip-${Math.random().toString(36).slice(2)}`;
    const clipPath = svg("clipPath", {id: clip}, svg("defs", {}, picture));
    svg("rect", {x: MARGIN.left, y: MARGIN.top - 4, width: inner.width, height: inner.height + 8}, clipPath);
    const lines = svg("g", {"clip-path": `url(#${clip})`}, picture);
    for (const one of this.visible()) this.line(lines, one);
    this.cross = svg("line", {class: "d-cross", y1: MARGIN.top, y2: this.height - MARGIN.bottom}, picture);
    this.chosen = svg("rect", {class: "d-chosen", y: MARGIN.top, height: inner.height, width: 0}, picture);
    this.plot.replaceChildren(picture);
  }

  axes(picture, width, xTicks, yTicks) {
    const bottom = this.height - MARGIN.bottom;
    for (const tick of yTicks) {
      const at = this.y(tick);
      svg("line", {class: "d-grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: at, y2: at}, picture);
      svg("text", {x: MARGIN.left - 6, y: at + 4, "text-anchor": "end"}, picture, this.format(tick));
    }
    for (const tick of xTicks) {
      svg("line", {class: "d-grid", x1: this.x(tick), x2: this.x(tick), y1: bottom, y2: bottom + 4}, picture);
      svg("text", {x: this.x(tick), y: bottom + 16, "text-anchor": "middle"}, picture, short(tick));
    }
    svg("text", {x: width - MARGIN.right, y: bottom + 28, "text-anchor": "end"}, picture, this.xLabel);
    if (!this.series.some((one) => one.x.length)) {
      svg("text", {x: width / 2, y: this.height / 2, "text-anchor": "middle"}, picture, "nothing measured yet");
    }
  }

  line(parent, one) {
    let [path, gap, count] = ["", true, 0];
    const dots = [];
    one.y.forEach((y, i) => {
      if (!this.usable(y)) {
        gap = true;
        return;
      }
      const at = [this.x(one.x[i]).toFixed(1), this.y(y).toFixed(1)];
      path += `${gap ? "M" : "L"}${at}`;
      gap = false;
      count += 1;
      dots.push(at);
    });
    const attributes = {d: path || "M0,0", class: "d-line", "data-name": one.name, "data-points": count};
    svg("path", attributes, parent).style.stroke = one.colour;
    if (one.dashed) parent.lastChild.setAttribute("stroke-dasharray", "5 3");
    if (count > MOST_DOTS) return;
    for (const [cx, cy] of dots) svg("circle", {cx, cy, r: 2.4}, parent).style.fill = one.colour;
  }

  at(event) {
    return event.clientX - this.plot.getBoundingClientRect().left;
  }

  press(event) {
    if (event.button === 0 && this.x) this.from = this.at(event);
  }

  release(event) {
    if (this.from === undefined) return;
    const edges = [this.from, this.at(event)].sort((a, b) => a - b);
    this.from = undefined;
    if (edges[1] - edges[0] > 8) this.zoomTo(edges.map(this.back));
    else this.chosen?.setAttribute("width", 0);
  }

  hover(event) {
    if (!this.x) return;
    const pixel = this.at(event);
    if (this.from !== undefined) {
      this.chosen.setAttribute("x", Math.min(this.from, pixel));
      this.chosen.setAttribute("width", Math.abs(pixel - this.from));
    }
    const wanted = this.back(pixel);
    const near = this.visible().map((one) => [one, nearest(one.x, wanted)]).filter(([, i]) => i >= 0);
    if (!near.length) return;
    const distance = ([one, i]) => Math.abs(one.x[i] - wanted);
    const [first, index] = near.reduce((best, other) => (distance(other) < distance(best) ? other : best));
    const x = first.x[index];
    for (const end of ["x1", "x2"]) this.cross.setAttribute(end, this.x(x));
    this.cross.style.visibility = "visible";
    const rows = near.map(([one, i]) => {
      const row = html("div", "d-series", null, `${one.name}: ${this.format(one.y[i])}`);
      row.style.setProperty("--colour", one.colour);
      return row;
    });
    this.tip.replaceChildren(html("div", "", null, `${this.xLabel} ${short(x)}`), ...rows);
    this.tip.style.visibility = "visible";
    const room = this.plot.clientWidth - this.tip.offsetWidth - 4;
    this.tip.style.left = `${Math.max(0, Math.min(this.x(x) + 10, room))}px`;
  }

  leave() {
    this.tip.style.visibility = "hidden";
    if (this.cross) this.cross.style.visibility = "hidden";
  }
}

// The index of the number nearest to `wanted` in an ascending list; -1 if that is empty.
function nearest(numbers, wanted) {
  let [low, high] = [0, numbers.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  if (low > 0 && wanted - numbers[low - 1] < numbers[low] - wanted) return low - 1;
  return high < 0 ? -1 : low;
}

export const asPercent = (share) => (Number.isFinite(share) ? `${short(share * 100)}%` : "–");
