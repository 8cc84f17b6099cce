"use strict";

// A form or a button with data-method requests JSON; an error is shown on the page.
async function send(method, url, body, next) {
  const response = await fetch(url, { method, body, headers: { Accept: "application/json" } });
  if (response.ok) {
    location.assign(next || location.href);
    return;
  }
  const data = await response.json();
  const errors = Array.isArray(data.errors) ? data.errors.map((e) => `${e.field}: ${e.message}`) : JSON.stringify(data.errors);
  const problem = document.getElementById("problem");
  problem.textContent = data.error ? data.error.description : [].concat(errors).join(" ");
  problem.hidden = false;
  problem.scrollIntoView();
}

for (const form of document.querySelectorAll("form[data-method]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form.dataset.method, form.action, new FormData(form));
  });
}

for (const button of document.querySelectorAll("button[data-action]")) {
  button.addEventListener("click", () => {
    const { method, action, next, question } = button.dataset;
    if (!question || confirm(question)) send(method, action, undefined, next);
  });
}

// A choice shows only its own fields: lr_policy=step the fields that begin with lr_step_, method=folder those that
// begin with folder_.
for (const choice of document.querySelectorAll("form select")) {
  const before = choice.name.includes("_") ? choice.name.replace(/_.*/, "_") : "";
  const fields = [...choice.form.elements].filter((field) => field.name && field !== choice);
  const show = () => {
    for (const option of choice.options) {
      for (const field of fields.filter((f) => f.name.startsWith(`${before}${option.value}_`))) {
        field.closest(".form-group").hidden = option.value !== choice.value;
      }
    }
  };
  choice.addEventListener("change", show);
  show();
}

// The page of a job polls its status until the job has ended.
const progress = document.querySelector("progress[data-status]");
if (progress) {
  const shown = document.querySelector("h1 .label").textContent;
  setInterval(async () => {
    const job = await (await fetch(progress.dataset.status)).json();
    progress.value = job.progress;
    if (job.status && job.status !== shown) location.reload();
  }, 2000);
}
