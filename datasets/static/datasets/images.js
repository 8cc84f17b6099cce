// The images of a dataset: arrow keys move in the grid, and an image opens large in a dialog, where the arrows show its
// neighbours. Without this script each image has a page of its own.
import {fetchPage} from "../js/requests.js";

const grid = document.querySelector("[data-images]");
const dialog = document.getElementById("image-dialog");
const links = () => [...grid.querySelectorAll("a")];

// How many images stand in a row.
function columns() {
  const [first, ...others] = links();
  const below = others.findIndex((link) => link.offsetTop > first.offsetTop);
  return below < 0 ? others.length + 1 : below + 1;
}

function close() {
  dialog.close();
}

async function open(address) {
  const {page} = await fetchPage(address);
  const image = page?.getElementById("image");
  if (!image) return location.assign(address);
  const button = Object.assign(document.createElement("button"), {type: "button", className: "button", textContent: "Close"});
  button.addEventListener("click", close);
  dialog.replaceChildren(image, button);
  if (!dialog.open) dialog.showModal();
  (dialog.querySelector("[rel=next]") || button).focus();
}

grid?.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  dialog.addEventListener("close", () => link.focus(), {once: true});
  open(link.href);
});

grid?.addEventListener("keydown", (event) => {
  const all = links();
  const at = all.indexOf(document.activeElement);
  const steps = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns()};
  const next = event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : at + (steps[event.key] ?? NaN);
  if (at < 0 || !all[next]) return;
  event.preventDefault();
  all[next].focus();
});

dialog?.addEventListener("click", (event) => {
  const link = event.target.closest("a[rel]");
  if (link) {
    event.preventDefault();
    open(link.href);
  }
});

dialog?.addEventListener("keydown", (event) => {
  const rel = {ArrowLeft: "prev", ArrowRight: "next"}[event.key];
  dialog.querySelector(`[rel=${rel}]`)?.click();
});
