// A form with data-form is sent by this script: after errors what was typed and the chosen files stay, and each error is
// at its field. Without scripts the browser sends it, and the page comes back with the values and the errors.
import {UNREACHABLE, fetchPage, problemOf, replaceParts} from "./requests.js";
import {toast} from "./toast.js";

function showProblem(content) {
  const box = document.getElementById("problem");
  if (!box) return toast(typeof content === "string" ? content : content.textContent);
  if (typeof content === "string") box.textContent = content;
  else box.replaceChildren(...content.cloneNode(true).childNodes);
  box.hidden = false;
  box.focus();
  box.scrollIntoView({block: "center"});
  return box;
}

// Each error of the list of errors at its field, which the list's link names.
function showFieldErrors(form, page) {
  for (const item of page.querySelectorAll("#problem li")) {
    const [link, message] = [item.querySelector("a"), item.querySelector("span")];
    const input = link && document.getElementById(link.hash.slice(1));
    const error = input && form.contains(input) && document.getElementById(`${input.id}_error`);
    if (!error) continue;
    error.textContent = `${error.textContent} ${message.textContent}`.trim();
    input.setAttribute("aria-invalid", "true");
    input.closest("details")?.setAttribute("open", "");
  }
}

function clearProblem(form) {
  const box = document.getElementById("problem");
  if (box) box.hidden = true;
  for (const error of form.querySelectorAll(".field-error")) error.textContent = "";
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

async function send(form, button) {
  const body = new FormData(form, button);
  const elsewhere = button?.getAttribute("formaction");
  const address = elsewhere || form.getAttribute("action") || location.href;
  const {response, page} = await fetchPage(address, {method: "POST", body});
  if (response.redirected) {
    form.dispatchEvent(new CustomEvent("sent", {bubbles: true}));
    if (elsewhere || form.dataset.stay === undefined) location.assign(response.url);
    else replaceParts(page, form.dataset.stay.split(" "));
    if (form.dataset.done) toast(form.dataset.done);
  } else if (response.ok && page) { // such as predictions, which the page shows above its form
    clearProblem(form);
    replaceParts(page, ["body"]);
    document.getElementById("body")?.scrollIntoView();
  } else if (page) {
    clearProblem(form);
    showFieldErrors(form, page);
    const problem = page.getElementById("problem");
    if (problem && !problem.hidden) showProblem(problem);
    else showProblem(problemOf(page, response));
  } else {
    showProblem(problemOf(null, response));
  }
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-form]") || event.defaultPrevented) return;
  event.preventDefault();
  if (form.getAttribute("aria-busy") === "true") return;
  form.setAttribute("aria-busy", "true");
  const buttons = [...form.querySelectorAll("button")].filter((button) => !button.disabled);
  for (const button of buttons) button.setAttribute("aria-disabled", "true");
  try {
    await send(form, event.submitter);
  } catch {
    showProblem(UNREACHABLE);
  } finally {
    form.removeAttribute("aria-busy");
    for (const button of buttons) button.removeAttribute("aria-disabled");
  }
});
