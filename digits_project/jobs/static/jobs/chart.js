// A line chart, drawn by uPlot: the legend shows the values under the pointer and switches lines on and off, dragging
// zooms in, a double click zooms out, and y can be logarithmic. The page must load uPlot first (jobs/uplot.html).

const {uPlot} = window;
const HEIGHT = 280; // CSS pixels, without the legend
const MAX_COLOURS = 8;
const FONT = "11px system-ui, sans-serif";
const TOUCHES = {pointerdown: "mousedown", pointermove: "mousemove", pointerup: "mouseup"};

export function short(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

export const asPercent = (share) => (Number.isFinite(share) ? `${short(share * 100)}%` : "–");

function element(name, className, parent, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  parent?.append(made);
  return made;
}

function button(parent, text, action = null) {
  const made = element("button", "d-small", parent, text);
  made.type = "button";
  if (action) made.addEventListener("click", action);
  return made;
}

export class LineChart {
  // `format` writes a value of y; `log` is whether the chart is logarithmic at first; `height` is in CSS pixels.
  constructor(parent, title, {xLabel = "epoch", log = false, format = short, height = HEIGHT} = {}) {
    Object.assign(this, {xLabel, log, height, series: [], zoom: null, hidden: new Set(), smoothing: 0, mark: null});
    this.root = element("figure", "d-chart", parent);
    const head = element("figcaption", "d-chart-head", this.root);
    this.title = element("strong", "", head);
    this.call(title, format);
    this.reset = button(head, "Whole", () => this.zoomTo(null));
    this.scale = button(head, "", () => this.setLog(!this.log));
    this.scale.title = "Scale of the y axis";
    this.plot = element("div", "d-plot", this.root);
    this.plot.style.minHeight = `${height}px`;
    this.nothing = element("p", "d-nothing", this.root, "nothing measured yet");
    new ResizeObserver(() => this.resize()).observe(this.plot);
    this.followTheme();
    this.build();
  }

  // Set the title and the format of the values; the next draw() shows both.
  call(title, format) {
    this.root.dataset.chart = this.title.textContent = title;
    this.format = format;
  }

  // series: [{name, x: […], y: […], colour, dashed}]; null in y is a gap.
  draw(series) {
    this.series = series.map((one, i) => ({...one, colour: `--d-series-${((one.colour ?? i) % MAX_COLOURS) + 1}`}));
    this.nothing.hidden = series.some((one) => one.x.length);
    const lines = JSON.stringify(this.series.map(({name, colour, dashed}) => [name, colour, dashed]));
    if (lines !== this.lines) {
      this.lines = lines;
      this.build();
    } else { // keep the legend's buttons, so that the keyboard's focus stays
      this.uplot.setData(this.data(), !this.zoom);
      if (this.zoom) this.zoomTo(this.zoom);
    }
  }

  // Draw moving averages: each value keeps the share `smoothing` of the average before it; 0: the values themselves.
  setSmoothing(smoothing) {
    this.smoothing = smoothing;
    this.uplot.setData(this.data(), !this.zoom);
    if (this.zoom) this.zoomTo(this.zoom);
  }

  // Mark a value of x, such as the best epoch, with a line; null: none.
  setMark(mark) {
    if (JSON.stringify(mark) === JSON.stringify(this.mark)) return;
    this.mark = mark;
    this.redraw();
  }

  redraw() {
    if (this.uplot.data[0].length) this.uplot.redraw(false); // uPlot can't draw an empty chart again
  }

  setLog(log) {
    this.log = log;
    this.build();
  }

  // range: {min, max} of x, or null for all.
  zoomTo(range) {
    const xs = this.uplot.data[0];
    if (range) this.uplot.setScale("x", range);
    else if (xs.length) this.uplot.setData(this.uplot.data);
  }

  // --- uPlot's data and options -------------------------------------------------------------------------------------
  data() {
    if (!this.series.length) return [[]];
    const isShown = (y) => Number.isFinite(y) && (!this.log || y > 0);
    return uPlot.join(this.series.map(({x, y}) => [x, this.averaged(y.map((one) => (isShown(one) ? one : null)))]));
  }

  averaged(y) {
    if (!this.smoothing) return y;
    let before = null;
    return y.map((one) => {
      if (one !== null) before = before === null ? one : this.smoothing * before + (1 - this.smoothing) * one;
      return one === null ? null : before;
    });
  }

  build() {
    const {zoom} = this;
    this.uplot?.destroy();
    this.scale.textContent = this.log ? "linear" : "log";
    this.uplot = new uPlot(this.options(), this.data(), this.plot);
    this.root.uplot = this.uplot; // for tests, and for the browser's console
    for (const [touch, mouse] of Object.entries(TOUCHES)) { // uPlot handles only mouse events
      this.uplot.over.addEventListener(touch, (event) => {
        if (event.pointerType !== "mouse") this.uplot.over.dispatchEvent(new MouseEvent(mouse, event));
      });
    }
    if (zoom) this.zoomTo(zoom);
  }

  options() {
    const colour = (name) => () => getComputedStyle(this.root).getPropertyValue(name).trim();
    const axis = {font: FONT, labelFont: FONT, stroke: colour("--body-quiet-color"), grid: {stroke: colour("--hairline-color"), width: 1},
                  ticks: {stroke: colour("--hairline-color"), width: 1, size: 4}};
    const written = (format) => (u, values) => values.map((one) => (one === null ? "" : format(one)));
    return {
      width: this.plot.clientWidth || 300,
      height: this.height,
      padding: [10, 12, 0, 0],
      scales: {x: {time: false}, y: {distr: this.log ? 3 : 1}},
      axes: [
        {...axis, label: this.xLabel, labelSize: 16, labelGap: 0, size: 26, values: written(short)},
        {...axis, size: 56, values: written((value) => this.format(value))},
      ],
      cursor: {y: false, drag: {dist: 8}},
      legend: {markers: {
        stroke: (u, i) => `var(${this.series[i - 1].colour})`,
        fill: () => "none",
        dash: (u, i) => (this.series[i - 1].dashed ? "dashed" : "solid"),
      }},
      series: [{label: this.xLabel, value: (u, value) => short(value)}, ...this.series.map((one) => ({
        label: this.label(one),
        name: one.name,
        show: !this.hidden.has(one.name),
        stroke: colour(one.colour),
        points: {size: 5, fill: colour(one.colour)},
        width: 1.8,
        dash: one.dashed ? [5, 3] : undefined,
        value: (u, value) => this.format(value),
      }))],
      hooks: {draw: [(u) => this.drawMark(u)], setScale: [(u, key) => key === "x" && this.noteZoom(u)], setSeries: [(u, i) => this.noteShown(u, i)]},
    };
  }

  drawMark({ctx, bbox, valToPos, scales}) {
    if (!this.mark || scales.x.min > this.mark.x || scales.x.max < this.mark.x) return;
    const left = Math.round(valToPos(this.mark.x, "x", true));
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = getComputedStyle(this.root).getPropertyValue("--body-quiet-color").trim();
    ctx.setLineDash([4, 4]);
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
    const isRight = left > bbox.left + bbox.width / 2;
    ctx.textAlign = isRight ? "right" : "left";
    ctx.textBaseline = "top";
    ctx.fillText(this.mark.label, left + (isRight ? -6 : 6), bbox.top + 2);
    ctx.restore();
  }

  // The name in the legend. On a click or Enter, uPlot hides the line, or shows it again.
  label(one) {
    const label = button(null, one.name);
    label.setAttribute("aria-pressed", String(!this.hidden.has(one.name)));
    return label;
  }

  // --- events ------------------------------------------------------------------------------------------------------
  noteZoom(uplot) {
    const xs = uplot.data[0];
    const {min, max} = uplot.scales.x;
    this.zoom = xs.length && (min > xs[0] || max < xs.at(-1)) ? {min, max} : null;
    this.reset.hidden = !this.zoom;
  }

  noteShown(uplot, index) {
    if (!index) return;
    const {name, show, label} = uplot.series[index];
    if (show) this.hidden.delete(name);
    else this.hidden.add(name);
    label.setAttribute("aria-pressed", String(show));
  }

  resize() {
    const width = this.plot.clientWidth;
    if (width && width !== this.uplot.width) this.uplot.setSize({width, height: this.height});
  }

  followTheme() {
    const redraw = () => this.redraw();
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    new MutationObserver(redraw).observe(document.documentElement, {attributeFilter: ["data-theme"]});
  }
}
