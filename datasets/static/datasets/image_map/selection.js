// The images that are selected on the map: their pictures below it, and the form that leaves them out of a revision of the
// dataset or gives them another category.
const MAX_LISTED = 120; // pictures; the form has all images

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export class Selection {
  // described: a MappedImages, which knows addresses and texts of images.
  constructor(section, described) {
    Object.assign(this, {section, described, images: [], left: new Set()});
    section.querySelector("form")?.addEventListener("submit", () => this._fill());
  }

  show(images) {
    this.images = images;
    this.left.clear();
    this.section.hidden = !images.length;
    const listed = images.slice(0, MAX_LISTED).map((image) => this._picture(image));
    this.section.querySelector("ul").replaceChildren(...listed);
    const more = this.section.querySelector("[data-more]");
    more.hidden = images.length <= MAX_LISTED;
    more.textContent = `and ${(images.length - MAX_LISTED).toLocaleString("en")} more, which are selected too`;
    this._count();
  }

  _count() {
    const count = this.images.length - this.left.size;
    this.section.querySelector("h2").textContent = `${count.toLocaleString("en")} ${count === 1 ? "image" : "images"} selected`;
    const button = this.section.querySelector("form button");
    if (button) button.disabled = !count;
  }

  _picture(image) {
    const {described} = this;
    const text = described.text(image);
    const thumbnail = element("img", {loading: "lazy", width: 96, height: 96, alt: text, src: described.thumbnail(image)});
    const link = element("a", {href: described.address(image), title: text}, thumbnail, element("span", {textContent: described.title(image)}));
    const more = element("a", {href: described.similar(image), className: "more-like", textContent: "More like this"});
    more.setAttribute("aria-label", `More like this: ${text}`);
    return element("li", {}, ...(this.section.querySelector("form") ? [this._tick(image, text)] : []), link, more);
  }

  _tick(image, text) {
    const tick = element("input", {type: "checkbox", checked: true, className: "map-tick"});
    tick.setAttribute("aria-label", `Change ${text}`);
    tick.addEventListener("change", () => {
      if (tick.checked) this.left.delete(image);
      else this.left.add(image);
      this._count();
    });
    return tick;
  }

  // Write the ticked images into the fields of the form.
  _fill() {
    const {exclude, relabel, "map-change": change} = this.section.querySelector("form").elements;
    const ticked = this.images.filter((image) => !this.left.has(image));
    const changed = ticked.filter((image) => this.described.category(image) !== change.value);
    exclude.value = change.value ? "" : ticked.map((image) => this.described.name(image)).join("\n");
    relabel.value = change.value ? changed.map((image) => `${this.described.name(image)}=${change.value}`).join("\n") : "";
  }
}
