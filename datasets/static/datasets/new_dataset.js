// The page of a new dataset: images of this computer go up in pieces while the form is filled in, a folder of the server
// is chosen in a dialog, and the page shows what would become of the images.
import {ARCHIVE, chosen, dropped, fingerprint} from "../js/chosen_files.js";
import {ResumableUpload, forget, remove} from "../js/resumable_upload.js";
import {tar} from "../js/tar.js";

const KEPT = "digits.new-dataset"; // in the browser's storage: the upload of this page
const form = document.getElementById("new-dataset");
const at = (id) => document.getElementById(id);
const [box, hidden, name] = [at("upload"), at("id_upload_train"), at("id_dataset_name")];
let upload = null; // the ResumableUpload that is being sent
let files = [];
let waits = false; // whether the form is sent as soon as the upload is complete

// --- where the images come from ------------------------------------------------------------------------------------
function showSource() {
  const source = form.querySelector("[name=method]:checked").dataset.source;
  for (const panel of form.querySelectorAll("[data-panel]")) {
    panel.hidden = panel.dataset.panel !== source;
    for (const field of panel.querySelectorAll("input, select")) field.disabled = panel.hidden;
  }
  at("preview").hidden = source === "lists";
  preview();
}

function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), 4);
  return `${(bytes / 1000 ** power).toFixed(power > 1 ? 1 : 0)} ${units[power]}`;
}

function say(text, kind = "") {
  at("upload-text").textContent = text;
  box.dataset.state = kind;
}

function showBar(fraction) {
  const bar = at("upload-bar");
  bar.hidden = fraction === null;
  bar.value = fraction ?? 0;
}

// --- images of this computer ---------------------------------------------------------------------------------------
async function take(found) {
  if (!found.length) return say("There are no files in it.", "error");
  const archive = found.find(({path}) => ARCHIVE.test(path));
  if (archive && found.length === 1) return send(archive.file, archive.file.name, [archive]);
  const unnamed = found.filter(({path}) => !path.includes("/"));
  if (unnamed.length === found.length) return askCategory(unnamed);
  add(found);
}

// Loose images get the name of their category here.
function askCategory(loose) {
  const dialog = at("category-dialog");
  at("category-count").textContent = loose.length === 1 ? "This image lies" : `These ${loose.length} images lie`;
  dialog.returnValue = "";
  at("category-name").value = "";
  dialog.addEventListener("close", () => {
    const category = at("category-name").value.trim().replaceAll("/", "-");
    if (dialog.returnValue === "yes" && category) add(loose.map(({path, file}) => ({path: `${category}/${path}`, file})));
  }, {once: true});
  dialog.showModal();
}

function add(found) {
  const known = new Map([...files, ...found].map((one) => [one.path, one]));
  files = [...known.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  const [top, inner] = withoutTop(files);
  send(tar(inner), top, inner);
}

// The name of the one folder that holds the categories, and the files below it.
function withoutTop(all) {
  const tops = new Set(all.map(({path}) => path.split("/")[0]));
  const top = [...tops][0];
  const inner = all.map(({path, file}) => ({path: path.slice(top.length + 1), file}));
  if (tops.size === 1 && inner.some(({path}) => path.includes("/"))) return [top, inner];
  return [tops.size === 1 ? top : "images", all];
}

async function send(blob, title, parts) {
  upload?.stop();
  hidden.value = "";
  at("preview").replaceChildren();
  const print = fingerprint(title, parts);
  const before = kept();
  if (before && before.fingerprint !== print) remove(before.address, before.fingerprint);
  nameFrom(title);
  const about = parts.length === 1 ? title : `${title}: ${parts.length.toLocaleString("en")} files, ${size(blob.size)}`;
  at("upload-discard").hidden = false;
  let address = null;
  const report = ({sent, total, state}) => {
    showBar(total ? sent / total : 1);
    const share = `${size(sent)} of ${size(total)}`;
    if (state === "sending") say(`${about}. ${share} sent.`);
    if (state === "waiting") say(`${about}. ${share} sent; the connection is lost. The upload goes on by itself when it is back.`, "warning");
    if (state === "sending" || state === "waiting") keep({address: current.address, fingerprint: print, title, about});
  };
  const current = upload = new ResumableUpload(form.dataset.uploads, blob, {name: title, fingerprint: print, report, piece: Number(form.dataset.piece) || undefined});
  say(`${about}. Starting …`);
  try {
    address = await current.send();
  } catch (failure) {
    if (upload === current) failed(failure.message);
    return;
  }
  if (address === null || upload !== current) return;
  keep({address, fingerprint: print, title, about});
  complete(address, about);
}

function failed(message) {
  upload = null;
  waits = false;
  showBar(null);
  say(message, "error");
}

function complete(address, about) {
  upload = null;
  showBar(null);
  say(`${about}. Uploaded.`, "good");
  hidden.value = address.split("/").pop();
  preview().then(() => {
    if (waits) form.requestSubmit();
  });
}

function discard() {
  upload?.stop();
  upload = null;
  files = [];
  const before = kept();
  if (before) remove(before.address, before.fingerprint);
  drop();
}

// Forget the upload of this page, which the server has used or removed.
function drop() {
  localStorage.removeItem(KEPT);
  hidden.value = "";
  at("upload-discard").hidden = true;
  at("preview").replaceChildren();
  showBar(null);
  say("");
}

function kept() {
  return JSON.parse(localStorage.getItem(KEPT) || "null");
}

function keep(facts) {
  localStorage.setItem(KEPT, JSON.stringify(facts));
}

// After a reload: what was uploaded before is still there, or can go on.
async function resume() {
  const before = kept();
  if (!before) return;
  const response = await fetch(before.address, {headers: {Accept: "application/json"}}).catch(() => null);
  if (!response) return;
  if (!response.ok) {
    forget(before.fingerprint);
    return drop();
  }
  const facts = await response.json();
  at("upload-discard").hidden = false;
  nameFrom(before.title);
  if (facts.complete) return complete(before.address, before.about);
  showBar(facts.offset / facts.length);
  say(`${before.about}. ${size(facts.offset)} of ${size(facts.length)} have arrived: choose the same files again, and the rest follows.`, "warning");
}

// The uploads of other browsers and earlier days, which count among one's bytes until they are used, removed or expire.
async function listEarlier() {
  const response = await fetch(form.dataset.uploads, {headers: {Accept: "application/json"}}).catch(() => null);
  if (!response?.ok) return;
  const {uploads} = await response.json();
  const others = uploads.filter(({id}) => !kept()?.address.endsWith(`/${id}`));
  at("earlier").querySelector("ul").replaceChildren(...others.map(earlierUpload));
  at("earlier").hidden = !others.length;
}

function earlierUpload({id, name: title, length, offset, complete: isWhole}) {
  const [item, address] = [document.createElement("li"), new URL(`${form.dataset.uploads}/${id}`, location.href).href];
  const about = `${title || "without a name"}: ${size(length)}`;
  item.append(isWhole ? about : `${about}, ${Math.floor((100 * offset) / length)} % of it arrived`);
  const button = (text, act) => {
    const made = Object.assign(document.createElement("button"), {type: "button", className: "button button-small", textContent: text});
    made.addEventListener("click", () => {
      act();
      item.remove();
    });
    item.append(made);
  };
  if (isWhole) {
    button("Use", () => {
      upload?.stop();
      keep({address, fingerprint: id, title, about});
      at("upload-discard").hidden = false;
      nameFrom(title);
      complete(address, about);
    });
  }
  button("Delete", () => remove(address, id));
  return item;
}

function nameFrom(title) {
  if (name.value && name.value !== name.dataset.proposed) return;
  name.value = name.dataset.proposed = title.replace(ARCHIVE, "").slice(0, 255);
}

// --- a folder of the server ----------------------------------------------------------------------------------------
const browser = at("folder-dialog");

let opened; // the folder that was asked for last

async function browse(path) {
  opened = path;
  const response = await fetch(`${browser.dataset.address}?path=${encodeURIComponent(path)}`);
  const folders = response.ok ? await response.text() : "The folder can't be read.";
  if (path !== opened) return;
  at("folders").innerHTML = folders;
  at("folders").querySelector("button")?.focus();
}

browser?.addEventListener("click", (event) => {
  const button = event.target.closest("[data-open], [data-use]");
  if (!button) return;
  if (button.dataset.open !== undefined) return browse(button.dataset.open);
  at("id_folder_train").value = button.dataset.use;
  nameFrom(button.dataset.use.split("/").pop());
  browser.close();
  preview();
});

// --- the preview ---------------------------------------------------------------------------------------------------
let asked = 0;

async function preview() {
  const [place, number] = [at("preview"), ++asked];
  const source = form.querySelector("[name=method]:checked").dataset.source;
  const given = {computer: hidden.value, server: at("id_folder_train").value}[source];
  if (!given) return place.replaceChildren();
  const body = new URLSearchParams([...new FormData(form)].filter(([, value]) => typeof value === "string"));
  place.setAttribute("aria-busy", "true");
  if (!place.firstChild) place.textContent = "Looking at the images …";
  try {
    const response = await fetch(form.dataset.preview, {method: "POST", body, headers: {Accept: "text/html"}});
    const text = await response.text();
    if (number !== asked) return;
    if (response.ok) place.innerHTML = text;
    else place.textContent = "The images could not be looked at; the dataset can be created nevertheless.";
    proposeSize(place.querySelector("[data-width]"));
  } catch {
    if (number === asked) place.textContent = "The server can't be reached; the preview follows with the next change.";
  } finally {
    if (number === asked) place.removeAttribute("aria-busy");
  }
}

// Fill in the proposed size, unless somebody has chosen one.
function proposeSize(proposed) {
  if (!proposed || form.dataset.sized) return;
  form.dataset.sized = "yes";
  const wanted = {resize_width: proposed.dataset.width, resize_height: proposed.dataset.height, resize_channels: proposed.dataset.channels};
  const changed = Object.entries(wanted).filter(([field, value]) => at(`id_${field}`).value !== value);
  for (const [field, value] of changed) at(`id_${field}`).value = value;
  if (changed.length) preview();
}

let pause;
form.addEventListener("input", (event) => {
  if (event.target.name?.startsWith("resize_")) form.dataset.sized = "yes";
  rememberTyped();
  if (["dataset_name", "method"].includes(event.target.name) || event.target.type === "file") return;
  clearTimeout(pause);
  pause = setTimeout(preview, 500);
});

// --- what was typed, after a reload --------------------------------------------------------------------------------
const TYPED = `digits.typed${location.pathname}${location.search}`;

function rememberTyped() {
  const typed = {sized: form.dataset.sized, proposed: name.dataset.proposed, values: {}};
  for (const field of form.elements) {
    if (!field.name || ["file", "hidden"].includes(field.type)) continue;
    if (field.type === "radio") typed.source = form.querySelector("[name=method]:checked").dataset.source;
    else typed.values[field.name] = field.type === "checkbox" ? field.checked : field.value;
  }
  sessionStorage.setItem(TYPED, JSON.stringify(typed));
}

function restoreTyped() {
  const typed = JSON.parse(sessionStorage.getItem(TYPED) || "null");
  if (!typed || form.querySelector("[aria-invalid]")) return; // the server has filled in what was sent
  if (typed.sized) form.dataset.sized = typed.sized;
  if (typed.proposed) name.dataset.proposed = typed.proposed;
  for (const [field, value] of Object.entries(typed.values)) {
    const input = at(`id_${field}`);
    if (input?.type === "checkbox") input.checked = value;
    else if (input) input.value = value;
  }
  const choice = form.querySelector(`[data-source="${typed.source}"]`);
  if (choice) choice.checked = true;
}

// --- events --------------------------------------------------------------------------------------------------------
for (const choice of form.querySelectorAll("[name=method]")) choice.addEventListener("change", showSource);
for (const input of form.querySelectorAll("[data-files]")) {
  input.addEventListener("change", () => {
    take(chosen(input));
    input.value = ""; // so that the same files can be chosen again
  });
}
for (const button of form.querySelectorAll("[data-choose]")) {
  button.addEventListener("click", () => at(button.dataset.choose).click());
}
at("upload-discard").addEventListener("click", discard);
at("browse")?.addEventListener("click", () => {
  browser.showModal();
  browse(at("id_folder_train").value.replace(/\/[^/]*$/, ""));
});

for (const event of ["dragenter", "dragover"]) {
  box.addEventListener(event, (drag) => {
    drag.preventDefault();
    box.classList.add("over");
  });
}
for (const event of ["dragleave", "drop"]) box.addEventListener(event, () => box.classList.remove("over"));
box.addEventListener("drop", async (event) => {
  event.preventDefault();
  take(await dropped(event.dataTransfer));
});
for (const event of ["dragover", "drop"]) { // beside the box a file would open instead of the page
  addEventListener(event, (drag) => drag.dataTransfer?.types.includes("Files") && drag.preventDefault());
}

document.addEventListener("submit", (event) => {
  if (event.target !== form) return;
  waits = Boolean(upload);
  if (!waits) return;
  event.preventDefault();
  event.stopPropagation();
  say(`${at("upload-text").textContent} The dataset is created as soon as everything has arrived.`);
}, true);
form.addEventListener("sent", () => {
  sessionStorage.removeItem(TYPED);
  const before = kept();
  if (before && hidden.value) {
    forget(before.fingerprint);
    localStorage.removeItem(KEPT);
  }
});

for (const element of form.querySelectorAll("[data-scripts]")) element.hidden = false;
for (const element of form.querySelectorAll("[data-no-scripts]")) element.remove();
restoreTyped();
showSource();
resume();
listEarlier();
