// A short message at the edge of the page, which screen readers read too.

const SECONDS = 7;

export function toast(text) {
  const shown = document.createElement("div");
  shown.className = "toast";
  shown.textContent = text;
  document.getElementById("toasts").append(shown);
  setTimeout(() => shown.remove(), SECONDS * 1000);
}
