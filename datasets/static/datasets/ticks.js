// Ticks of images in a report or an evaluation. They are kept for the other pages about the dataset until the revision is
// made, and an image that is shown twice has one tick. Without this script a page's own ticks are sent with its form.
const form = document.querySelector("[data-ticks]");
const key = `ticks of ${form?.dataset.ticks || document.querySelector("[data-ticks-of]")?.dataset.ticksOf}`;
const boxes = form ? [...form.querySelectorAll("[data-image]")] : [];
const all = form ? [...form.querySelectorAll("[name=all]")] : [];
const listOf = (box) => box.parentElement.querySelector("select");
const categories = form ? JSON.parse(document.getElementById("categories").textContent) : [];
const ticks = new Map(JSON.parse(sessionStorage.getItem(key) || "[]")); // the new category by image; "": leave it out

// The list of a box with all categories; it begins with those that the page suggests.
function completed(list) {
  if (list.dataset.complete) return list;
  list.dataset.complete = "yes";
  const known = new Set([...list.options].map((option) => option.value).concat(list.dataset.own));
  for (const name of categories) if (!known.has(name)) list.add(new Option(`→ ${name}`, name));
  return list;
}

function show() {
  for (const box of boxes) {
    box.checked = ticks.has(box.dataset.image);
    if (box.checked && listOf(box).value !== ticks.get(box.dataset.image)) completed(listOf(box)).value = ticks.get(box.dataset.image);
  }
  const here = new Set(boxes.map((box) => box.dataset.image));
  const elsewhere = [...ticks.keys()].filter((image) => !here.has(image)).length;
  const more = elsewhere ? `, ${elsewhere} of them on other pages` : "";
  form.querySelector("[data-ticked]").textContent = `${ticks.size} image${ticks.size === 1 ? "" : "s"} ticked${more}`;
  form.querySelector("[data-untick]").hidden = !ticks.size && !all.some((box) => box.checked);
  sessionStorage.setItem(key, JSON.stringify([...ticks]));
}

function tick(box, isTicked) {
  if (isTicked) ticks.set(box.dataset.image, listOf(box).value);
  else ticks.delete(box.dataset.image);
}

// The boxes that "all" of a section stands for: of copies all but the first of each picture.
function boxesOf(section) {
  const groups = [...section.querySelectorAll(".finding")].map((group) => [...group.querySelectorAll("[data-image]")].slice(1));
  return groups.length ? groups.flat() : [...section.querySelectorAll("[data-image]")];
}

function changed({target}) {
  const section = target.closest("[data-findings]");
  if (target.name === "all") for (const box of boxesOf(section)) tick(box, target.checked);
  else if (target.matches("[data-image]")) {
    tick(target, target.checked);
    const ofAll = section?.querySelector("[name=all]");
    if (ofAll && !target.checked) ofAll.checked = false;
  } else if (target.matches("select")) tick(target.parentElement.querySelector("[data-image]"), true);
  show();
}

// One field with all ticks, instead of two for each image.
function pack({formData}) {
  for (const name of [...formData.keys()]) if (name === "tick" || name.startsWith("to:")) formData.delete(name);
  formData.set("changes", [...ticks].map(([image, to]) => (to ? `${image}=${to}` : image)).join("\n"));
}

function untick() {
  ticks.clear();
  for (const box of all) box.checked = false;
  show();
}

if (form) {
  for (const event of ["pointerdown", "focusin"]) form.addEventListener(event, ({target}) => target.matches(".tick select") && completed(target));
  form.addEventListener("change", changed);
  form.addEventListener("formdata", pack);
  form.querySelector("[data-untick]").addEventListener("click", untick);
  show();
} else {
  // A report that is made while its page is open brings its form, which this script has not seen.
  document.addEventListener("job-changed", ({detail}) => detail.status === "Done" && location.reload());
}
document.addEventListener("sent", ({target}) => target.matches("[data-ticks-of]") && sessionStorage.removeItem(key));
