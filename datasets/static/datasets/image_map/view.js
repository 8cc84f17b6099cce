// What a map shows of the plane: the middle and the scale, and the way from places to pixels and back.
const MAX_ZOOM = 200;
const MARGIN = 16; // pixels

export class View {
  constructor(canvas, xs, ys) {
    this.canvas = canvas;
    this.box = [xs, ys].map((values) => {
      const [least, most] = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
      return values.length ? {middle: (least + most) / 2, half: Math.max((most - least) / 2, 0.01)} : {middle: 0, half: 1};
    });
    this.whole();
  }

  whole() {
    [this.x, this.y, this.zoom] = [this.box[0].middle, this.box[1].middle, 1];
  }

  // Pixels for 1. Both directions have the same, so that the map isn't distorted.
  get scale() {
    const {clientWidth, clientHeight} = this.canvas;
    return Math.min((clientWidth / 2 - MARGIN) / this.box[0].half, (clientHeight / 2 - MARGIN) / this.box[1].half) * this.zoom;
  }

  toPixels(x, y) {
    const {scale} = this;
    return [this.canvas.clientWidth / 2 + (x - this.x) * scale, this.canvas.clientHeight / 2 - (y - this.y) * scale];
  }

  moveBy(right, down) {
    this.x -= right / this.scale;
    this.y += down / this.scale;
  }

  // Zoom so that what is at a pixel stays there.
  zoomAt(factor, left, top) {
    const [right, down] = [left - this.canvas.clientWidth / 2, top - this.canvas.clientHeight / 2];
    this.moveBy(-right, -down);
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), MAX_ZOOM);
    this.moveBy(right, down);
    if (this.zoom === 1) this.whole();
  }

  // Move so that a place can be seen.
  show(x, y) {
    const [left, top] = this.toPixels(x, y);
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (left < 0 || top < 0 || left > width || top > height) [this.x, this.y] = [x, y];
  }
}

// Whether a point lies in a polygon, by the even-odd rule.
export function isInside(x, y, polygon) {
  let inside = false;
  for (let here = 0, before = polygon.length - 1; here < polygon.length; before = here++) {
    const [[x1, y1], [x2, y2]] = [polygon[here], polygon[before]];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
  }
  return inside;
}
