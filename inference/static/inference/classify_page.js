// The page that classifies many images: they are sent one by one, and shown in a grid that can be sorted and saved.
import {usesCamera} from "./camera.js";
import {ask, bars, eachOf, offersReasons, pictureOf} from "../models_app/classify_drop.js";

const MAX_PICTURES = 500; // more would take too much memory
const section = document.getElementById("classify");
const found = []; // {name, ranked, item, place}
const part = (name) => section.querySelector(`[data-${name}]`);

const sureness = ({ranked}) => (ranked ? ranked[0][1] : -1);
const ORDERS = {
  order: (a, b) => a.place - b.place,
  least: (a, b) => sureness(a) - sureness(b),
  most: (a, b) => sureness(b) - sureness(a),
  category: (a, b) => String(a.ranked?.[0][0]).localeCompare(String(b.ranked?.[0][0])) || sureness(b) - sureness(a),
};

// A cell of a CSV file; spreadsheets must not run it as a formula.
function cell(value) {
  const text = String(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}

function csv() {
  const rows = [...found].sort(ORDERS.order).filter(({ranked}) => ranked);
  const lines = rows.map(({name, ranked}) => [cell(name), ...ranked.slice(0, 5).flatMap(([category, percent]) => [cell(category), percent])].join(","));
  return ["image,category,percent", ...lines].join("\r\n");
}

function show() {
  const done = found.filter(({isDone}) => isDone).length;
  part("toolbar").hidden = !found.length;
  part("count").textContent = `${done} of ${found.length} image${found.length === 1 ? "" : "s"}`;
  part("bar").hidden = done === found.length;
  Object.assign(part("bar"), {max: Math.max(1, found.length), value: done});
  if (done === found.length && done) part("said").textContent = `${done} images are classified.`;
}

function sort() {
  part("results").append(...[...found].sort(ORDERS[part("sort").value]).map(({item}) => item));
}

async function classify(image, name) {
  const item = document.createElement("li");
  item.className = "card";
  const result = {name, item, place: found.length};
  found.push(result);
  if (image instanceof Blob && found.length <= MAX_PICTURES) pictureOf(image, item);
  const box = item.appendChild(document.createElement("div"));
  box.appendChild(Object.assign(document.createElement("p"), {className: "name", textContent: name}));
  part("results").append(item);
  show();
  return async () => {
    try {
      const question = [section.dataset.address, document.getElementById("classify-model").value, document.getElementById("classify-snapshot").value, image];
      result.ranked = await ask(...question);
      bars(box, result.ranked);
      offersReasons(box, result.ranked, ...question);
    } catch (wrong) {
      box.appendChild(Object.assign(document.createElement("p"), {className: "field-error", textContent: wrong.message}));
    }
    result.isDone = true;
    if (part("sort").value !== "order") sort();
    show();
  };
}

async function take(files) {
  const tasks = await Promise.all(files.map((file) => classify(file, file.webkitRelativePath || file.name)));
  await eachOf(tasks, (task) => task());
}

// The files of dropped folders too.
async function filesOf(entry) {
  if (!entry) return [];
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const entries = [];
  for (;;) { // a reader returns a hundred at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    entries.push(...some);
  }
  return (await Promise.all(entries.map(filesOf))).flat();
}

function takesDrops(drop) {
  const over = (event, isOver) => {
    event.preventDefault();
    drop.classList.toggle("over", isOver);
  };
  drop.addEventListener("dragover", (event) => over(event, true));
  drop.addEventListener("dragleave", (event) => over(event, false));
  drop.addEventListener("drop", async (event) => {
    over(event, false);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    take(entries.length ? (await Promise.all(entries.map(filesOf))).flat() : [...event.dataTransfer.files]);
  });
}

function chooses(button, input) {
  part(button).addEventListener("click", () => part(input).click());
  part(input).addEventListener("change", () => {
    take([...part(input).files].filter(({name}) => !name.startsWith(".")));
    part(input).value = "";
  });
}

if (section) {
  section.hidden = false;
  const models = document.getElementById("id_job_id");
  const choice = document.getElementById("classify-model");
  choice.append(...[...models.options].filter(({value}) => value).map(({text, value, selected}) => new Option(text, value, selected, selected)));
  takesDrops(part("drop"));
  chooses("choose", "files");
  chooses("choose-folder", "folder");
  usesCamera(part, take);
  part("sort").addEventListener("change", sort);
  part("clear").addEventListener("click", () => {
    found.splice(0).forEach(({item}) => item.remove());
    show();
  });
  part("csv").addEventListener("click", () => (part("csv").href = `data:text/csv;charset=utf-8,${encodeURIComponent(csv())}`));
  part("url").addEventListener("submit", async (event) => {
    event.preventDefault();
    const url = document.getElementById("classify-url").value.trim();
    if (url) await (await classify(url, url))();
  });
}
