// How boxes look: one colour per state that reads on dark and light pictures, other categories in blue.

const COLOURS = {
  red: "#ff3b30", red_yellow: "#ff8a00", yellow: "#ffd60a", green: "#1fe07a", off: "#c8b6ff", unknown: "#ff7ad9",
};
const NO_STATE = "#f2f2f2";
const OTHER_CATEGORY = "#4db2ff";

const stateColour = (state) => (state === null ? NO_STATE : (COLOURS[state] ?? NO_STATE));
const boxColour = (box) => (isLight(box) ? stateColour(boxes.state.word(box)) : OTHER_CATEGORY);
const isIgnored = (box) => boxes.ignore.word(box) === "yes";

const boxNumber = (box) => `#${box - frames.first_box[frameOfBox[box]]}`;

/** What stands beside a box: its number in the frame, which findings use too, and what it shows. */
function boxName(box) {
  const what = isLight(box) ? (boxes.state.word(box) ?? ABSENT) : boxes.category.word(box);
  const pictogram = boxes.pictogram.word(box);
  return [boxNumber(box), spaced(what), pictogram && spaced(pictogram)].filter(Boolean).join(" ");
}

/** Boxes of a frame that a finding names. */
function boxesWithFinding(row) {
  const rows = (findingsOfFrame.get(row) ?? []).filter((number) => findings.box[number] >= 0);
  return new Set(rows.map((number) => frames.first_box[row] + findings.box[number]));
}

/** A rectangle around a box, `margin` frame pixels away so that a small light stays visible inside it. */
function boxShape(box, margin) {
  const classes = ["box", shown.isBox[box] ? "" : "aside", isIgnored(box) ? "ignored" : ""];
  return svg("rect", {
    class: classes.filter(Boolean).join(" "), "data-box": box, stroke: boxColour(box),
    x: px(boxes.x[box]) - margin, y: px(boxes.y[box]) - margin,
    width: px(boxes.w[box]) + 2 * margin, height: px(boxes.h[box]) + 2 * margin,
  });
}

/** A second, dashed outline of a box that a finding is about. */
function boxMark(box, margin) {
  const mark = boxShape(box, margin);
  mark.setAttribute("class", "box marked");
  return mark;
}

function boxShapes(row, margin) {
  const marked = boxesWithFinding(row);
  const rows = [];
  for (let box = frames.first_box[row]; box < frames.first_box[row + 1]; box++) rows.push(box);
  // What is filtered out lies below what is not.
  rows.sort((a, b) => shown.isBox[a] - shown.isBox[b] || a - b);
  return rows.flatMap((box) => (marked.has(box) ? [boxMark(box, 3 * margin), boxShape(box, margin)] : [boxShape(box, margin)]));
}
