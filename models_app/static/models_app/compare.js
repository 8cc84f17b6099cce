// The curves of several models, one chart for each thing that is measured.
import {LineChart, asPercent} from "../jobs/chart.js";

async function compare(parent) {
  const models = [...parent.querySelectorAll("a[data-name]")];
  const answers = await Promise.all(models.map(async (link) => (await fetch(link.href)).json()));
  const names = models.map((link) => link.dataset.name);
  const shown = models.map((link, i) => (names.indexOf(names[i]) === names.lastIndexOf(names[i]) ? names[i] : `${names[i]} (${link.dataset.id})`));
  const charts = [
    ["Validation accuracy", "val", "accuracy", {format: asPercent}],
    ["Validation loss", "val", "loss", {}],
    ["Training loss", "train", "loss", {}],
    ["Learning rate", "train", "learning_rate", {}],
  ];
  for (const [title, split, column, options] of charts) {
    const series = answers.map(({curves}, i) => ({
      name: shown[i], x: curves[split]?.epoch || [], y: curves[split]?.[column] || [], colour: i,
    }));
    new LineChart(parent, title, options).draw(series.filter((one) => one.y.some((value) => value !== null)));
  }
  parent.dataset.drawn = "yes";
}

document.querySelectorAll("[data-compare]").forEach(compare);
