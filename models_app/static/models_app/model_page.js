// The page of a model: its curves, followed while it trains, and the images that are dropped on it.
import {LineChart, asPercent, short} from "../jobs/chart.js";
import {after} from "../js/events.js";
import {classifies} from "./classify_drop.js";

const TITLES = {loss: "Loss", accuracy: "Accuracy", learning_rate: "Learning rate"};
const PAUSE = 2000; // milliseconds
const NOT_DRAWN = new Set(["epoch"]);

function seriesOf(curves, column) {
  return ["train", "val"]
    .filter((split) => curves[split]?.[column]?.some((value) => value !== null))
    .map((split) => ({name: split, x: curves[split].epoch, y: curves[split][column], colour: split === "val" ? 1 : 0}));
}

// Update the curves and the numbers when the server reports something of the job, at most every two seconds.
function follow(section, update) {
  after(["metrics", "progress", "status", "reset"], PAUSE, async () => {
    if (!section.isConnected) return;
    window.htmx?.trigger("#live", "refresh");
    try {
      await update();
    } catch {
      // The next event tries again.
    }
  });
}

function showCurves(section) {
  if (section.dataset.drawn) return;
  section.dataset.drawn = "yes";
  const parent = section.querySelector(".d-charts");
  const smoothing = section.querySelector("#smoothing");
  const charts = {};
  for (const part of section.querySelectorAll("[data-with-scripts]")) part.hidden = false;

  function chartOf(column) {
    if (!charts[column]) {
      const figure = [...parent.querySelectorAll("[data-chart-title]")].find((one) => one.dataset.chartTitle === TITLES[column]);
      charts[column] = new LineChart(figure || parent, TITLES[column] || column, {format: column === "accuracy" ? asPercent : short});
      figure?.querySelector(":scope > svg")?.remove();
      figure?.querySelector(":scope > figcaption")?.remove();
      figure?.prepend(charts[column].root);
      charts[column].setSmoothing(Number(smoothing.value));
    }
    return charts[column];
  }

  async function update() {
    const response = await fetch(section.dataset.curves, {headers: {Accept: "application/json"}});
    if (!response.ok) throw new Error(response.statusText);
    const {curves, best} = await response.json();
    const columns = new Set([...Object.keys(TITLES), ...Object.values(curves).flatMap((points) => Object.keys(points))]);
    for (const column of columns) {
      if (NOT_DRAWN.has(column)) continue;
      const series = seriesOf(curves, column);
      const chart = chartOf(column);
      chart.draw(column === "learning_rate" ? series.slice(0, 1) : series);
      chart.setMark(best === null ? null : {x: best, label: `best: epoch ${short(best)}`});
    }
  }

  smoothing.addEventListener("input", () => Object.values(charts).forEach((chart) => chart.setSmoothing(Number(smoothing.value))));
  follow(section, update);
  update().catch(() => {}); // it is drawn again with the next event
}

function start() {
  document.querySelectorAll("[data-curves]").forEach(showCurves);
}

start();
document.addEventListener("job-changed", start);
document.querySelectorAll("#classify").forEach((section) => {
  section.hidden = false;
  classifies(section);
});
