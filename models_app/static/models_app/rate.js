// Draws the course of the learning rate while the user fills in the form.
import {LineChart} from "../jobs/chart.js";

const AFTER_MILLISECONDS = 250;

function previews(parent) {
  const form = parent.closest("form");
  const chart = new LineChart(parent, "Learning rate", {xLabel: "percent of the training"});
  const said = parent.appendChild(document.createElement("p"));
  said.className = "d-error";
  let timer;
  let asked = 0;

  async function update() {
    asked += 1;
    const number = asked;
    const fields = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (name === "learning_rate" || name.startsWith("lr_")) fields.append(name, value);
    }
    try {
      const reply = await fetch(parent.dataset.rates, {method: "POST", body: fields, headers: {Accept: "application/json"}});
      const answer = await reply.json();
      if (number !== asked) return;
      if (!reply.ok) {
        const errors = Array.isArray(answer.errors) ? answer.errors.map((one) => `${one.field}: ${one.message}`) : Object.entries(answer.errors || {}).map((one) => one.join(": "));
        said.textContent = errors.join(" ") || "The learning rate can't be drawn.";
        return;
      }
      said.textContent = "";
      chart.draw(answer.data.columns.map(([name, ...y]) => ({name, x: y.map((_, i) => i), y})));
      parent.dataset.drawn = String(number);
    } catch {
      said.textContent = "The server could not be reached.";
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
