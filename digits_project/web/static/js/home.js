// The home page: remembers the list, its order and its columns; keeps the chosen jobs while the list refreshes.
import {after} from "./events.js";
import {showProgress} from "./progress.js";
import {fetchPage, replaceParts} from "./requests.js";

const LIST = "digits.home.list";
const COLUMNS = "digits.home.columns";
const BUSY_MILLISECONDS = 300;
const section = () => document.getElementById("jobs"); // it is replaced when another list is restored
const chosen = new Set();
let hasAsked = false; // whether the user has sorted or filtered the list

const read = (name, otherwise) => {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? otherwise;
  } catch {
    return otherwise;
  }
};
const write = (name, value) => {
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    // Private windows can refuse storage; then nothing is remembered.
  }
};

function showColumns() {
  const choices = read(COLUMNS, {});
  for (const box of section().querySelectorAll("[data-column-choice]")) {
    const name = box.dataset.columnChoice;
    if (name in choices) box.checked = choices[name];
    for (const cell of section().querySelectorAll(`[data-column="${name}"]`)) cell.hidden = !box.checked;
  }
}

function showChosen() {
  const boxes = [...section().querySelectorAll("input[name=ids]")];
  for (const box of boxes) box.checked = chosen.has(box.value);
  const all = section().querySelector("[data-pick-all]");
  if (all) all.checked = boxes.length > 0 && boxes.every((box) => box.checked);
  document.getElementById("chosen-actions").hidden = !chosen.size;
  document.getElementById("chosen-count").textContent = `${chosen.size} chosen`;
}

function show() {
  const shown = new Set([...section().querySelectorAll("input[name=ids]")].map((box) => box.value));
  for (const id of chosen) if (!shown.has(id)) chosen.delete(id); // it was deleted, or is on another page
  showColumns();
  showChosen();
  const list = document.getElementById("job-table").dataset.list;
  const sort = new URLSearchParams(list).get("sort") || "";
  const field = document.querySelector("#filter input[name=sort]")
    || document.getElementById("filter").appendChild(Object.assign(document.createElement("input"), {type: "hidden", name: "sort"}));
  field.value = sort;
  write(LIST, {list: new URLSearchParams([...new URLSearchParams(list)].filter(([name]) => name !== "page" && name !== "q")).toString()});
}

function changed(event) {
  const {target} = event;
  if (target.matches("[data-column-choice]")) {
    write(COLUMNS, {...read(COLUMNS, {}), [target.dataset.columnChoice]: target.checked});
    showColumns();
  } else if (target.matches("input[name=ids]")) {
    if (target.checked) chosen.add(target.value);
    else chosen.delete(target.value);
    showChosen();
  } else if (target.matches("[data-pick-all]")) {
    for (const box of document.querySelectorAll("#jobs input[name=ids]")) {
      if (target.checked) chosen.add(box.value);
      else chosen.delete(box.value);
    }
    showChosen();
  }
}

// Have a part read again. While a request of the section `within` is on its way it waits, because htmx would leave it out.
function refresh(id, within) {
  const isBusy = document.querySelector(`#${within}.htmx-request, #${within} .htmx-request`);
  if (isBusy) setTimeout(() => refresh(id, within), BUSY_MILLISECONDS);
  else window.htmx?.trigger(`#${id}`, "refresh");
}

// The list that was last looked at, unless the address names one, or the user asks for another meanwhile.
async function restore() {
  const {list} = read(LIST, {});
  if (location.search || !list || `?${list}` === document.getElementById("job-table").dataset.list) return;
  try {
    const {page} = await fetchPage(`${location.pathname}?${list}`);
    if (page && !hasAsked) replaceParts(page, ["jobs"]);
  } catch {
    // The list that is there stays.
  }
}

if (section()) {
  document.addEventListener("change", changed);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-compare-address]");
    if (button) location.assign(`${button.dataset.compareAddress}?ids=${[...chosen].join(",")}`);
  });
  document.addEventListener("htmx:afterSwap", () => show());
  document.addEventListener("htmx:beforeRequest", (event) => { // nobody looks, or a dialog or a menu of the list is open
    const {triggeringEvent} = event.detail.requestConfig;
    if (triggeringEvent && triggeringEvent.type !== "refresh") hasAsked = true;
    else if (document.hidden || document.querySelector("dialog[open]")) event.preventDefault();
  });
  after(["status", "reset"], 2000, () => refresh("job-table", "jobs"));
  after(["status", "queue", "reset"], 1000, () => refresh("now", "now"));
  document.addEventListener("sent", () => chosen.clear());
  document.addEventListener("digits:progress", ({detail}) => showProgress(document.querySelector(`#now [data-job="${detail.job}"]`), detail));
  await restore();
  show();
}
