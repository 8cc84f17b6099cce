// The page of the map of a dataset's images: fetches the points, and shows the current and the selected images.
import {UNREACHABLE} from "../../js/requests.js";
import {addDot, colourings, coloursOf, look} from "./colouring.js";
import {ImageMap} from "./image_map.js";
import {Selection, element} from "./selection.js";

const section = document.getElementById("map");
const picture = document.getElementById("map-image");

// Names, texts and addresses of the images of a map.
class MappedImages {
  constructor({points, splits, categories}) {
    Object.assign(this, {points, splits, categories});
  }

  category(image) {
    return this.points.category.length ? this.categories[this.points.category[image]] : "";
  }

  // As reports and revisions name it: train/17.
  name(image) {
    return `${this.splits[this.points.split[image]]}/${this.points.record[image]}`;
  }

  title(image) {
    return this.category(image) || this.name(image);
  }

  text(image) {
    const {likelier, probability} = this.points;
    const judged = likelier.length && this.points.category.length && likelier[image] !== this.points.category[image];
    const doubt = judged ? `, taken for ${this.categories[likelier[image]]} (${Math.round(probability[image] * 100)} %)` : "";
    return [this.category(image), this.name(image)].filter(Boolean).join(", ") + doubt;
  }

  address(image) {
    return `${section.dataset.images}/${this.name(image).split("/").map(encodeURIComponent).join("/")}`;
  }

  thumbnail(image) {
    return `${this.address(image)}/thumbnail?${section.dataset.version}`;
  }

  similar(image) {
    return `${section.dataset.similar}?image=${encodeURIComponent(this.name(image))}`;
  }
}

function showPicture(described, image, left, top) {
  picture.hidden = image === null;
  if (image === null) return;
  const [shown, text] = picture.children;
  if (shown.dataset.image !== String(image)) shown.src = described.thumbnail(image);
  shown.dataset.image = image;
  text.textContent = described.text(image);
  const frame = picture.parentElement;
  picture.style.left = `${Math.min(left + 14, Math.max(frame.clientWidth - picture.offsetWidth, 0))}px`;
  const fits = top + 14 + picture.offsetHeight <= frame.clientHeight;
  picture.style.top = `${Math.max(fits ? top + 14 : top - 14 - picture.offsetHeight, 0)}px`;
}

function symbol(group) {
  const canvas = element("canvas", {width: 28, height: 28});
  canvas.setAttribute("aria-hidden", "true");
  const paint = () => {
    const [context, {colour, shape}] = [canvas.getContext("2d"), look(group, coloursOf(section))];
    context.clearRect(0, 0, 28, 28);
    context.fillStyle = colour;
    context.beginPath();
    addDot(context, shape, 14, 14, 9);
    context.fill();
  };
  paint();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  return canvas;
}

// The legend: a button for each group, pressed while its images are shown.
function fillLegend(drawn, {names, of}) {
  const counts = names.map(() => 0);
  for (const group of of) counts[group]++;
  const buttons = names.map((name, group) => {
    const text = element("span", {textContent: `${name} (${counts[group].toLocaleString("en")})`});
    return element("button", {type: "button", className: "map-group"}, symbol(group), text);
  });
  const update = () => {
    buttons.forEach((button, group) => button.setAttribute("aria-pressed", String(!drawn.hidden.has(group))));
    drawn.draw();
  };
  buttons.forEach((button, group) => {
    button.addEventListener("click", () => {
      if (!drawn.hidden.delete(group)) drawn.hidden.add(group);
      update();
    });
    button.addEventListener("dblclick", () => {
      const isAlone = drawn.hidden.size === names.length - 1 && !drawn.hidden.has(group);
      drawn.hidden = new Set(isAlone ? [] : [...names.keys()].filter((other) => other !== group));
      update();
    });
  });
  update();
  const items = buttons.map((button, group) => element("li", {hidden: !counts[group]}, button));
  section.querySelector(".map-legend").replaceChildren(...items);
}

function connectTools(drawn) {
  const tools = [...section.querySelectorAll("[data-tool]")];
  for (const button of tools) {
    button.addEventListener("click", () => {
      drawn.tool = drawn.canvas.dataset.tool = button.dataset.tool;
      for (const one of tools) one.setAttribute("aria-pressed", String(one === button));
    });
  }
  for (const button of section.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => drawn.zoom(Number(button.dataset.zoom)));
  }
}

function connectColours(drawn, map) {
  const [ways, choice] = [colourings(map), document.getElementById("map-colour")];
  choice.replaceChildren(...ways.map(({title}, value) => element("option", {value, textContent: title})));
  const colour = () => {
    drawn.colourBy(ways[choice.value].of);
    fillLegend(drawn, ways[choice.value]);
  };
  choice.addEventListener("change", colour);
  colour();
}

function start(map) {
  for (const part of section.querySelectorAll(".map-tools, .map-plot, #map-keys")) part.hidden = false;
  const described = new MappedImages(map);
  const below = document.getElementById("map-selection");
  const selection = new Selection(below, described);
  const drawn = new ImageMap(section.querySelector("canvas"), map.points, {
    onCurrent: (image, left, top) => showPicture(described, image, left, top),
    onSelection: (images) => selection.show(images),
    onOpen: (image) => location.assign(described.address(image)),
  });
  connectColours(drawn, map);
  connectTools(drawn);
  below.querySelector("[data-clear]").addEventListener("click", () => drawn.select([]));
}

function showProblem(text) {
  const problem = document.getElementById("map-problem");
  [problem.hidden, problem.textContent] = [false, text];
}

try {
  const response = await fetch(section.dataset.map, {headers: {Accept: "application/json"}});
  if (response.ok) start(await response.json());
  else showProblem(`The server refused the map (${response.status}). Load the page again.`);
} catch (failure) {
  if (!(failure instanceof TypeError)) throw failure;
  showProblem(UNREACHABLE);
}
