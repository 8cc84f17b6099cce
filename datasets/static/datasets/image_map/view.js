// What a map shows of the plane: the middle and the scale, and the way from places to pixels and back.
const MAX_ZOOM = 200;
const MARGIN = 14; // pixels

export class View {
  constructor(canvas) {
    this.canvas = canvas;
    this.whole();
  }

  whole() {
    [this.x, this.y, this.zoom] = [0, 0, 1];
  }

  // Pixels for 1, the half side of the map.
  get scale() {
    return (Math.min(this.canvas.clientWidth, this.canvas.clientHeight) / 2 - MARGIN) * this.zoom;
  }

  toPixels(x, y) {
    return [this.canvas.clientWidth / 2 + (x - this.x) * this.scale, this.canvas.clientHeight / 2 - (y - this.y) * this.scale];
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
