// How the dots of a map are coloured: by category, split, or whether the classifier agrees. A group has a colour of the
// style sheet, and a shape, so that 32 groups differ and colour is not all that tells them apart.
const COLOURS = 8;
export const SHAPES = ["circle", "square", "triangle", "diamond"];

function byCategory({points, categories}) {
  return {title: "by category", names: categories, of: points.category};
}

function bySplit({points, splits}) {
  return {title: "by split", names: splits, of: points.split};
}

// The classifier's answer is out of fold: it has not seen the image.
function byAgreement({points}) {
  const of = points.likelier.map((likelier, image) => (likelier === points.category[image] ? 0 : 1));
  return {title: "by correctness", names: ["recognized", "taken for another"], of};
}

// The ways in which a map's dots can be coloured.
export function colourings(map) {
  const found = map.points.category.length ? [byCategory(map)] : [];
  if (map.points.likelier.length && map.points.category.length) found.push(byAgreement(map));
  return [...found, bySplit(map)];
}

// The colours of the groups in the present colour scheme.
export function coloursOf(element) {
  const style = getComputedStyle(element);
  return Array.from({length: COLOURS}, (_, number) => style.getPropertyValue(`--d-series-${number + 1}`).trim());
}

export function look(group, colours) {
  return {colour: colours[group % COLOURS], shape: SHAPES[Math.floor(group / COLOURS) % SHAPES.length]};
}

// Add a dot to the canvas's path.
export function addDot(context, shape, x, y, size) {
  if (shape === "square") {
    context.rect(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8);
  } else if (shape === "triangle") {
    context.moveTo(x, y - size * 1.2);
    context.lineTo(x + size * 1.1, y + size * 0.8);
    context.lineTo(x - size * 1.1, y + size * 0.8);
    context.closePath();
  } else if (shape === "diamond") {
    context.moveTo(x, y - size * 1.3);
    context.lineTo(x + size * 1.3, y);
    context.lineTo(x, y + size * 1.3);
    context.lineTo(x - size * 1.3, y);
    context.closePath();
  } else {
    context.moveTo(x + size, y);
    context.arc(x, y, size, 0, 2 * Math.PI);
  }
}
