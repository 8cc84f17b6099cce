// A slider that sets how strongly one picture covers another.
//
//   <div id="ID"><img …><img … data-overlay></div>
//   <p data-with-scripts hidden><input type="range" min="0" max="100" data-opacity="ID"></p>
for (const slider of document.querySelectorAll("[data-opacity]")) {
  const overlay = document.querySelector(`#${slider.dataset.opacity} [data-overlay]`);
  const show = () => { overlay.style.opacity = slider.value / 100; };
  slider.addEventListener("input", show);
  slider.closest("[data-with-scripts]").hidden = false;
  show();
}
