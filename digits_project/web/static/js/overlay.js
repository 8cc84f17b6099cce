// A slider that sets how strongly one picture covers another.
//
//   <div id="ID"><img …><img … data-overlay></div>
//   <p class="with-scripts"><input type="range" min="0" max="100" data-opacity="ID"></p>
document.addEventListener("input", ({target}) => {
  const overlay = document.querySelector(`[id="${target.dataset.opacity}"] [data-overlay]`);
  if (overlay) overlay.style.opacity = target.value / 100;
});
