// A button with data-copy="id" copies the text of that element.
import {toast} from "./toast.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    toast("Copied");
  } catch {
    toast("The browser doesn't allow copying here; select the text instead.");
  }
});
