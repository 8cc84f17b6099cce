// A button with data-confirm="question" asks in a dialog before it sends its form.

const dialog = document.getElementById("confirm");

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-confirm]");
  if (!button || button.dataset.confirmed) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  document.getElementById("confirm-question").textContent = button.dataset.confirm;
  document.getElementById("confirm-yes").textContent = button.dataset.yes || button.textContent.trim();
  dialog.returnValue = "";
  dialog.addEventListener("close", () => {
    button.focus();
    if (dialog.returnValue !== "yes") return;
    const yes = Object.assign(document.createElement("input"), {type: "hidden", name: "confirmed", value: "yes"});
    button.form.append(yes);
    button.dataset.confirmed = "yes";
    button.click();
    delete button.dataset.confirmed;
    yes.remove();
  }, {once: true});
  dialog.showModal();
}, true);
