// Draws the course of the learning rate while the user fills in the form.
import {LineChart} from "../jobs/chart.js";

const AFTER_MILLISECONDS = 250;

function previews(parent) {
  const form = parent.closest("form");
  const chart = new LineChart(parent, "Learning rate", {xLabel: "percent of the training"});
  const message = parent.appendChild(document.createElement("p"));
  message.className = "d-error";
  let timer;
  let asked = 0;

  async function update() {
    asked += 1;
    const number = asked;
    const fields = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      const [low, high] = String(value).replace(/\s+log\s*$/, "").split("..");  // of a range both ends are drawn
      if (name === "learning_rate") fields.append(name, high === undefined ? value : `${low},${high}`);
      else if (name.startsWith("lr_")) fields.append(name, low);
    }
    try {
      const response = await fetch(parent.dataset.rates, {method: "POST", body: fields, headers: {Accept: "application/json"}});
      const data = await response.json();
      if (number !== asked) return;
      if (!response.ok) {
        const errors = Array.isArray(data.errors) ? data.errors.map((one) => `${one.field}: ${one.message}`) : Object.entries(data.errors || {}).map((one) => one.join(": "));
        message.textContent = errors.join(" ") || "The learning rate can't be drawn.";
        return;
      }
      message.textContent = "";
      chart.draw(data.data.columns.map(([name, ...y]) => ({name, x: y.map((_, i) => i), y})));
      parent.dataset.drawn = String(number);
    } catch {
      message.textContent = "The server could not be reached.";
    }
  }

  form.addEventListener("input", (event) => {
    if (event.target.name !== "learning_rate" && !event.target.name.startsWith("lr_")) return;
    clearTimeout(timer);
    timer = setTimeout(update, AFTER_MILLISECONDS);
  });
  update();
}

document.querySelectorAll("[data-rates]").forEach(previews);
