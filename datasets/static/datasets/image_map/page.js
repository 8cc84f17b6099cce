// The page of the map of a dataset's images: fetches the points, and shows the current and the selected images.
import {UNREACHABLE} from "../../js/requests.js";
import {addDot, colourings, coloursOf, look} from "./colouring.js";
import {ImageMap} from "./image_map.js";

const MAX_LISTED = 120; // selected images whose pictures are shown
const section = document.getElementById("map");
const selection = document.getElementById("map-selection");
const {images: base, similar: similarAddress, version} = section.dataset;
const picture = document.getElementById("map-image");

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function address(map, image) {
  return `${base}/${encodeURIComponent(map.splits[map.points.split[image]])}/${map.points.record[image]}`;
}

function describe(map, image) {
  const {points, categories, splits} = map;
  const category = points.category.length ? `${categories[points.category[image]]}, ` : "";
  const judged = points.likelier.length && points.likelier[image] !== points.category[image];
  const doubt = judged ? `, taken for ${categories[points.likelier[image]]} (${Math.round(points.probability[image] * 100)} %)` : "";
  return `${category}${splits[points.split[image]]} ${points.record[image]}${doubt}`;
}

function showPicture(map, image, left, top) {
  picture.hidden = image === null;
  if (image === null) return;
  const [shown, text] = picture.children;
  picture.href = address(map, image);
  if (shown.dataset.image !== String(image)) shown.src = `${address(map, image)}/thumbnail?${version}`;
  shown.dataset.image = image;
  text.textContent = describe(map, image);
  const frame = picture.parentElement;
  picture.style.left = `${Math.min(Math.max(left + 14, 0), Math.max(frame.clientWidth - picture.offsetWidth, 0))}px`;
  const below = top + 14 + picture.offsetHeight <= frame.clientHeight;
  picture.style.top = `${Math.max(below ? top + 14 : top - 14 - picture.offsetHeight, 0)}px`;
}

function listed(map, image) {
  const text = describe(map, image);
  const thumbnail = element("img", {loading: "lazy", width: 96, height: 96, alt: text, src: `${address(map, image)}/thumbnail?${version}`});
  const split = map.splits[map.points.split[image]];
  const like = `${similarAddress}?image=${encodeURIComponent(split)}/${map.points.record[image]}`;
  const more = element("a", {href: like, className: "more-like", textContent: "More like this"});
  more.setAttribute("aria-label", `More like ${text}`);
  return element("li", {}, element("a", {href: address(map, image)}, thumbnail, element("span", {textContent: text})), more);
}

function showSelection(map, images) {
  selection.hidden = !images.length;
  selection.querySelector("h2").textContent = images.length === 1 ? "1 image selected" : `${images.length.toLocaleString("en")} images selected`;
  selection.querySelector("ul").replaceChildren(...images.slice(0, MAX_LISTED).map((image) => listed(map, image)));
  const more = selection.querySelector("[data-more]");
  more.hidden = images.length <= MAX_LISTED;
  more.textContent = `and ${(images.length - MAX_LISTED).toLocaleString("en")} more`;
  document.dispatchEvent(new CustomEvent("images-selected", {detail: images.map((image) => ({split: map.splits[map.points.split[image]], record: map.points.record[image]}))}));
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
    button.hidden = !counts[group];
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
  section.querySelector(".map-legend").replaceChildren(...buttons.map((button) => element("li", {hidden: button.hidden}, button)));
}

function start(map) {
  for (const part of section.querySelectorAll(".map-tools, .map-plot, #map-keys")) part.hidden = false;
  const drawn = new ImageMap(section.querySelector("canvas"), map.points, {
    onCurrent: (image, left, top) => showPicture(map, image, left, top),
    onSelection: (images) => showSelection(map, images),
    onOpen: (image) => location.assign(address(map, image)),
  });
  const [ways, choice] = [colourings(map), document.getElementById("map-colour")];
  choice.replaceChildren(...ways.map(({title}, value) => element("option", {value, textContent: title})));
  const colour = () => {
    drawn.colourBy(ways[choice.value].of);
    fillLegend(drawn, ways[choice.value]);
  };
  choice.addEventListener("change", colour);
  colour();
  const tools = [...section.querySelectorAll("[data-tool]")];
  for (const button of tools) {
    button.addEventListener("click", () => {
      drawn.tool = button.dataset.tool;
      for (const one of tools) one.setAttribute("aria-pressed", String(one === button));
      drawn.canvas.dataset.tool = drawn.tool;
    });
  }
  for (const button of section.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => drawn.zoom(Number(button.dataset.zoom)));
  }
  selection.querySelector("[data-clear]").addEventListener("click", () => drawn.select([]));
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
