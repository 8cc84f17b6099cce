// The page that creates models: shows the fields of the chosen network, keeps the plan's errors and the recipe's values
// at their fields, and numbers the lines of the prototxt. The plan itself is a fragment that htmx fetches.
import {draw} from "../js/charts.js";
import {codeEditor} from "./code_editor.js";

const form = document.getElementById("new-model");

const chosen = (name) => form.querySelector(`input[name="${name}"]:checked`);

// --- the network --------------------------------------------------------------------------------------------------
const other = form.querySelector("#other-network");

function showMethod() {
  const method = chosen("method")?.value ?? "";
  for (const panel of form.querySelectorAll("[data-of-method]")) panel.hidden = panel.dataset.ofMethod !== method;
}

// A name that is typed counts instead of a card.
function takeOther() {
  const isTyped = Boolean(other.value.trim());
  if (isTyped && chosen("standard_networks")?.value !== other.value) {
    for (const card of form.querySelectorAll('input[type="radio"][name="standard_networks"]')) card.checked = card.value === other.value;
  }
  other.disabled = false;
  if (!isTyped || chosen("standard_networks")) other.removeAttribute("name");
  else other.name = "standard_networks";
}

// The field for the weights of another model has that model's id in its name.
function nameSnapshot() {
  const [model, field] = [form.querySelector("#id_previous_networks"), form.querySelector("[data-snapshot]")];
  if (!model || !field) return;
  if (model.value) field.name = `${model.value}-snapshot`;
  else field.removeAttribute("name");
}

// --- the name -----------------------------------------------------------------------------------------------------
const name = form.querySelector("#id_model_name");
let proposed = "";

function proposeName() {
  if (name.value && name.value !== proposed) return;
  const dataset = chosen("dataset")?.dataset.name;
  const network = chosen("method")?.value === "standard" && chosen("standard_networks")?.value;
  proposed = name.value = dataset ? [dataset, network || chosen("recipe")?.value].filter(Boolean).join(", ") : "";
}

// --- the plan -----------------------------------------------------------------------------------------------------
function showErrors(plan) {
  const shown = new Map();
  for (const item of plan.querySelectorAll("[data-error-of]")) {
    const error = form.querySelector(`#id_${CSS.escape(item.dataset.errorOf)}_error`);
    if (error) shown.set(error, [...(shown.get(error) || []), item.lastChild.textContent.replace(/^: /, "")]);
  }
  for (const error of form.querySelectorAll(".field-error")) {
    const text = (shown.get(error) || []).join(" ");
    if (text || error.dataset.fromPlan) error.textContent = text;
    error.dataset.fromPlan = text ? "yes" : "";
    const input = document.getElementById(error.id.replace(/_error$/, ""));
    if (!input?.matches(".input")) continue;
    if (text) input.setAttribute("aria-invalid", "true");
    else if (!error.textContent) input.removeAttribute("aria-invalid");
  }
}

function showFilled(plan) {
  for (const note of form.querySelectorAll("[data-recipe-sets]")) note.remove();
  for (const term of plan.querySelectorAll("[data-filled] dt")) {
    const input = document.getElementById(`id_${term.textContent}`);
    const label = input?.closest(".field")?.querySelector("label");
    if (!label || !input.matches(".input")) continue;
    const note = Object.assign(document.createElement("span"), {className: "default", textContent: `the recipe sets ${term.nextElementSibling.textContent}`});
    note.dataset.recipeSets = "";
    label.append(note);
  }
}

document.addEventListener("htmx:afterSettle", ({target}) => {
  if (target.id !== "plan") return;
  showErrors(target);
  showFilled(target);
  for (const figure of target.querySelectorAll("[data-chart-data]")) draw(figure);
});
document.addEventListener("htmx:beforeRequest", ({target}) => target.id === "plan" && target.setAttribute("aria-busy", "true"));
document.addEventListener("htmx:afterRequest", ({target}) => target.id === "plan" && target.removeAttribute("aria-busy"));

// --- the prototxt -------------------------------------------------------------------------------------------------
const template = form.querySelector("[data-template]");
template?.addEventListener("change", async () => {
  const network = template.value;
  if (!network) return;
  const response = await fetch(template.dataset.template, {method: "POST", body: new URLSearchParams({network}), headers: {Accept: "application/json"}});
  const text = form.querySelector("#id_custom_network");
  const error = form.querySelector("#id_custom_network_error");
  const found = await response.json();
  if (network !== template.value) return; // another one was chosen meanwhile
  if (response.ok) text.value = found.network;
  else error.textContent = found.error?.description || "This network can't be written as prototxt.";
  text.dispatchEvent(new Event("input", {bubbles: true}));
});

if (form) {
  for (const part of form.querySelectorAll("[data-with-scripts]")) part.hidden = false;
  for (const part of form.querySelectorAll("[data-without-scripts]")) part.hidden = true;
  for (const code of form.querySelectorAll("[data-code]")) codeEditor(code);
  form.addEventListener("change", (event) => {
    if (event.target.name === "standard_networks" && event.target.type === "radio") other.value = "";
    if (other) takeOther();
    nameSnapshot();
    showMethod();
    proposeName();
  }, true);
  other?.addEventListener("input", takeOther, true);
  if (other && chosen("standard_networks")) other.value = "";
  if (other) takeOther();
  nameSnapshot();
  showMethod();
  proposeName();
}
