// Images that are dropped on a part of the page, or chosen, are classified one after another, each with its bars.
import {UNREACHABLE} from "../js/requests.js";

const MAX_BARS = 5;
const AT_ONCE = 2; // requests

function element(name, className, parent, text = "") {
  const made = Object.assign(document.createElement(name), {className, textContent: text});
  parent?.append(made);
  return made;
}

// The text of a refused request.
export function errorOf(data) {
  if (data?.error) return data.error.description;
  const errors = Array.isArray(data?.errors) ? data.errors.map((one) => one.message) : Object.values(data?.errors || {});
  return errors.flat().join(" ") || "The server did not accept this.";
}

// Send one image, a file or the address of one; the data of the response.
async function send(address, job, snapshot, file) {
  const body = new FormData();
  body.append("job_id", job);
  if (snapshot) body.append("snapshot_epoch", snapshot);
  if (typeof file === "string") body.append("image_url", file);
  else body.append("image_file", file, file.name);
  let response;
  try {
    response = await fetch(address, {method: "POST", body, headers: {Accept: "application/json"}});
  } catch {
    throw new Error(UNREACHABLE);
  }
  const data = await response.json().catch(() => null);
  if (!response.ok) throw new Error(errorOf(data));
  return {...data, isUnsure: response.headers.get("X-Digits-Unsure") === "true"};
}

// What one image shows: [[category, percent], …], the surest first, or [[output, text], …]. The array's `isUnsure` says
// whether that is perhaps none of the categories.
export async function ask(...question) {
  const {predictions, outputs, isUnsure} = await send(...question);
  // An object's names that look like numbers, such as the categories of digits, come in their own order.
  const pairs = predictions && (Array.isArray(predictions) ? predictions : Object.entries(predictions));
  if (pairs) return Object.assign(pairs.sort((a, b) => b[1] - a[1]), {isUnsure});
  return Object.entries(outputs).map(([name, values]) => [name, JSON.stringify(values).slice(0, 300)]);
}

// Below the bars of an image, a button that shows which parts of it speak for its best category.
export function offersReasons(parent, ranked, address, ...question) {
  if (typeof ranked[0]?.[1] !== "number") return;
  const button = element("button", "button button-small", parent, "Why?");
  button.type = "button";
  button.setAttribute("aria-label", `Why ${ranked[0][0]}?`);
  button.addEventListener("click", async () => {
    button.disabled = true;
    const message = element("p", "muted", parent, "Looking for the parts that count …");
    message.setAttribute("role", "status");
    try {
      const {explanation} = await send(`${address}?explain=1`, ...question);
      message.remove();
      const figure = reasons(explanation);
      button.replaceWith(figure);
      figure.focus(); // which the button had
    } catch (wrong) {
      button.disabled = false;
      message.className = "field-error";
      message.textContent = wrong.message;
    }
  });
}

function reasons({category, image, png, deletion, insertion}) {
  const figure = element("figure", "reasons", null);
  figure.tabIndex = -1;
  const pictures = element("div", "overlaid", figure);
  element("img", "", pictures).src = image;
  const overlay = element("img", "", pictures);
  overlay.src = png;
  overlay.dataset.overlay = "";
  for (const picture of pictures.children) picture.alt = "";
  const caption = element("figcaption", "muted", figure, `The redder a part is, the more it speaks for ${category}. `);
  const doubt = "This map can't be relied on: the score hardly depends on these parts.";
  element("b", "", caption, insertion > deletion ? "" : doubt);
  return figure;
}

// The picture of a file; browsers can't show all formats that the server reads.
export function pictureOf(file, parent) {
  const image = element("img", "dropped", parent);
  image.alt = "";
  const reader = new FileReader(); // a data: URL, because the pages allow no blob: URLs
  reader.addEventListener("load", () => (image.src = reader.result));
  image.addEventListener("error", () => image.remove());
  reader.readAsDataURL(file);
  return image;
}

export function bars(parent, ranked) {
  if (ranked.isUnsure) element("p", "badge badge-unsure", parent, "Unsure, perhaps none of these");
  const list = element("ol", "predictions", parent);
  for (const [category, percent] of ranked.slice(0, MAX_BARS)) {
    const line = element("li", "", list);
    element("b", "", line, category);
    if (typeof percent !== "number") {
      element("span", "", line, percent);
      continue;
    }
    const bar = element("progress", "", line);
    Object.assign(bar, {max: 100, value: percent});
    bar.setAttribute("aria-label", category);
    element("span", "badge", line, `${percent.toFixed(2)} %`);
  }
}

// Run `work` for each file, a few at once.
export async function eachOf(files, work) {
  const waiting = [...files];
  await Promise.all(Array.from({length: AT_ONCE}, async () => {
    while (waiting.length) await work(waiting.shift());
  }));
}

// Files that are dropped on `parent` or chosen with its button go to `take`.
export function takesFiles(parent, take) {
  const input = parent.querySelector("input[type=file]");
  parent.querySelector("[data-choose]").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = "";
  });
  const over = (event, isOver) => {
    event.preventDefault();
    parent.classList.toggle("over", isOver);
  };
  parent.addEventListener("dragover", (event) => over(event, true));
  parent.addEventListener("dragleave", (event) => over(event, false));
  parent.addEventListener("drop", (event) => {
    over(event, false);
    take([...event.dataTransfer.files]);
  });
}

export function classifies(section) {
  const drop = section.querySelector("[data-classify]");
  const results = section.querySelector("[data-results]");
  takesFiles(drop, (files) => eachOf(files, async (file) => {
    const item = element("li", "card", null);
    results.prepend(item);
    pictureOf(file, item);
    const found = element("div", "", item);
    element("p", "name", found, file.name);
    const message = element("p", "muted", found, "…");
    try {
      const question = [drop.dataset.classify, drop.dataset.job, drop.querySelector("[data-snapshot]").value, file];
      const ranked = await ask(...question);
      message.remove();
      bars(found, ranked);
      offersReasons(found, ranked, ...question);
    } catch (wrong) {
      message.className = "field-error";
      message.textContent = wrong.message;
    }
  }));
}
