// A model's page: its curves, updated while it trains, and the form that classifies an image.
import {LineChart, asPercent, short} from "../jobs/chart.js";
import {poll} from "../jobs/poll.js";

const NAMED = new Set(["epoch", "loss", "accuracy", "learning_rate"]);

function seriesOf(curves, column) {
  return ["train", "val"]
    .filter((split) => curves[split]?.[column]?.some((value) => value !== null))
    .map((split) => ({name: split, x: curves[split].epoch, y: curves[split][column], colour: split === "val" ? 1 : 0}));
}

function further(curves) {
  const names = new Set(Object.values(curves).flatMap((points) => Object.keys(points)));
  return [...names].filter((name) => !NAMED.has(name));
}

function showCurves(parent) {
  const charts = {
    loss: new LineChart(parent, "Loss"),
    accuracy: new LineChart(parent, "Accuracy", {format: asPercent}),
    learning_rate: new LineChart(parent, "Learning rate"),
  };

  async function update() {
    const response = await fetch(parent.dataset.curves, {headers: {Accept: "application/json"}});
    if (!response.ok) return true;
    const {curves, ended} = await response.json();
    for (const column of further(curves)) charts[column] ??= new LineChart(parent, column);
    for (const [column, chart] of Object.entries(charts)) {
      const series = seriesOf(curves, column);
      chart.draw(column === "learning_rate" ? series.slice(0, 1) : series);
    }
    parent.dataset.drawn = "yes";
    return !ended;
  }

  poll(update);
}

function rows(data) {
  const {predictions, outputs} = data;
  if (predictions) return Array.isArray(predictions) ? predictions : Object.entries(predictions);
  return Object.entries(outputs).map(([name, values]) => [name, JSON.stringify(values).slice(0, 1000)]);
}

function row([name, value]) {
  const line = document.createElement("tr");
  const head = line.appendChild(document.createElement("th"));
  head.textContent = name;
  const cell = line.appendChild(document.createElement("td"));
  if (typeof value === "number") {
    const bar = cell.appendChild(document.createElement("meter"));
    Object.assign(bar, {max: 100, value});
    cell.append(` ${short(value)} %`);
  } else {
    cell.textContent = value;
  }
  return line;
}

function errorText(data) {
  if (data.error) return data.error.description;
  const errors = Array.isArray(data.errors) ? data.errors.map((one) => one.message) : Object.values(data.errors || {});
  return errors.flat().join(" ") || "The server did not accept this.";
}

function classifies(form) {
  const found = form.querySelector("[data-answer]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    found.replaceChildren();
    const message = found.appendChild(document.createElement("p"));
    message.textContent = "…";
    try {
      const response = await fetch(form.action, {method: "POST", body: new FormData(form), headers: {Accept: "application/json"}});
      const data = await response.json();
      if (!response.ok) {
        message.className = "d-error";
        message.textContent = errorText(data);
        return;
      }
      const table = document.createElement("table");
      table.className = "d-table";
      table.append(...rows(data).map(row));
      found.replaceChildren(table);
    } catch {
      message.className = "d-error";
      message.textContent = "The server could not be reached.";
    }
  });
}

document.querySelectorAll("[data-curves]").forEach(showCurves);
document.querySelectorAll("form[data-classify]").forEach(classifies);
