// Draws the charts of the page with uPlot, instead of their static pictures.
import {LineChart, asPercent, short} from "../jobs/chart.js";

const PERCENT = /accuracy/i;

// Replace the static picture of one chart. Returns the chart.
export function draw(figure) {
  const title = figure.dataset.chartTitle;
  const chart = new LineChart(figure, title, {xLabel: figure.dataset.x, format: PERCENT.test(title) ? asPercent : short});
  chart.draw(JSON.parse(figure.dataset.chartData));
  figure.querySelector(":scope > svg").remove();
  figure.querySelector(":scope > figcaption").remove();
  figure.prepend(chart.root);
  return chart;
}

for (const figure of document.querySelectorAll("[data-chart-data]")) {
  if (!figure.closest("[data-draws-charts]")) draw(figure);
}
