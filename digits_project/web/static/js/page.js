// The scripts of every page. Each module works on the elements that it finds, so a page needs no script of its own.
import "./confirm.js";
import "./forms.js";
import "./choices.js";
import "./paths.js";
import "./live.js";
import "./home.js";
import "./copy.js";
import "./overlay.js";

// Charts need uPlot, which only the pages with a chart load.
if (document.querySelector("[data-chart-data]") && window.uPlot) import("./charts.js");

document.querySelectorAll(".scrolled").forEach((box) => { // the keyboard scrolls only what has the focus
  if (box.scrollWidth > box.clientWidth && !box.hasAttribute("tabindex")) {
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", box.querySelector("caption")?.textContent || "Table");
  }
});
