// A plain code editor: a textarea with the numbers of its lines, of which the one in the field's error is marked.

export function codeEditor(parent) {
  const text = parent.querySelector("textarea");
  const gutter = Object.assign(document.createElement("div"), {className: "code-lines"});
  gutter.setAttribute("aria-hidden", "true");
  parent.prepend(gutter);
  const error = document.getElementById(`${text.id}_error`);

  function number() {
    const wrong = Number(/\bline (\d+)/.exec(error?.textContent || "")?.[1]);
    const count = text.value.split("\n").length;
    gutter.replaceChildren(...Array.from({length: count}, (_, i) => {
      const line = document.createElement("span");
      line.textContent = i + 1;
      if (i + 1 === wrong) line.className = "wrong";
      return line;
    }));
    gutter.scrollTop = text.scrollTop;
  }

  text.addEventListener("input", number);
  text.addEventListener("scroll", () => (gutter.scrollTop = text.scrollTop));
  text.addEventListener("keydown", (event) => { // Tab indents, after Escape it moves on as everywhere
    if (event.key === "Escape") text.dataset.leave = "yes";
    else if (event.key === "Tab" && !event.shiftKey && !text.dataset.leave) {
      event.preventDefault();
      text.setRangeText("  ", text.selectionStart, text.selectionEnd, "end");
      text.dispatchEvent(new Event("input", {bubbles: true}));
    } else delete text.dataset.leave;
  });
  if (error) new MutationObserver(number).observe(error, {childList: true, characterData: true, subtree: true});
  number();
}
