// The curves of several models in one chart, one quantity at a time, updated while a model trains.
import {LineChart, asPercent, short} from "../jobs/chart.js";
import {poll} from "../jobs/poll.js";

const SOLID = 4; // further lines are dashed, because some people can't distinguish eight colours
const SPLITS = {train: "Training", val: "Validation"};
const USUAL = ["val accuracy", "val loss", "train loss", "train accuracy", "train learning_rate"];

const pointsOf = ({curves}, quantity) => {
  const [split, ...column] = quantity.split(" ");
  return {x: curves[split]?.epoch || [], y: curves[split]?.[column.join(" ")] || []};
};

const isMeasured = (results, quantity) =>
  results.some((result) => pointsOf(result, quantity).y.some((value) => value !== null));

// The usual quantities, then the networks' other ones.
function quantitiesOf(results) {
  const found = results.flatMap(({curves}) => Object.entries(curves).flatMap(
    ([split, points]) => Object.keys(points).map((column) => `${split} ${column}`)));
  const further = found.filter((quantity) => !/ (epoch|learning_rate)$/.test(quantity));
  return [...new Set([...USUAL, ...further])];
}

function titleOf(quantity) {
  const [split, ...column] = quantity.split(" ");
  return quantity === "train learning_rate" ? "Learning rate" : `${SPLITS[split]} ${column.join(" ")}`;
}

// The names of the models, with their ids where two have the same name.
function namesOf(links) {
  const names = links.map((link) => link.dataset.name);
  return links.map((link, i) => (
    names.indexOf(names[i]) === names.lastIndexOf(names[i]) ? names[i] : `${names[i]} (${link.dataset.id})`));
}

function compare(parent) {
  const links = [...parent.querySelectorAll("a[data-name]")];
  const names = namesOf(links);
  const choice = parent.querySelector("select");
  parent.querySelector("[data-static]")?.remove(); // the chart without scripts
  for (const part of parent.querySelectorAll("[data-with-scripts]")) part.hidden = false;
  const chart = new LineChart(parent, "", {height: 380});
  let results = [];

  function draw() {
    const quantity = choice.value;
    chart.call(titleOf(quantity), quantity.endsWith(" accuracy") ? asPercent : short);
    const series = results.map((result, i) => ({name: names[i], colour: i, dashed: i >= SOLID, ...pointsOf(result, quantity)}));
    chart.draw(series.filter((one) => one.y.some((value) => value !== null)));
    parent.dataset.drawn = quantity;
  }

  async function update() {
    results = await Promise.all(links.map(async (link) => {
      const response = await fetch(link.href, {headers: {Accept: "application/json"}});
      return response.ok ? response.json() : {curves: {}, ended: true}; // it was deleted meanwhile
    }));
    const quantities = quantitiesOf(results);
    if (quantities.length !== choice.options.length) {
      const chosen = choice.value || quantities.find((one) => isMeasured(results, one)) || quantities[0];
      choice.replaceChildren(...quantities.map((one) => new Option(titleOf(one), one, false, one === chosen)));
    }
    draw();
    return results.some(({ended}) => !ended);
  }

  choice.addEventListener("change", draw);
  poll(update, () => !results.length);
}

document.querySelectorAll("[data-compare]").forEach(compare);
