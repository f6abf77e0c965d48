// The gallery: a grid of which only the rows in sight exist as elements, so that ten thousand frames scroll like ten.

const ORDERS = {
  catalog: ["catalog order", null],
  lights: ["most lights", (row) => -lightsInFrame[row]],
  smallest: ["smallest light", (row) => extremeSide(row, Math.min, Infinity)],
  largest: ["largest light", (row) => -extremeSide(row, Math.max, -Infinity)],
  findings: ["most findings", (row) => -(findingsOfFrame.get(row)?.length ?? 0)],
};
let order = "catalog";
let cardWidth = 260;
let ordered = [];
const GAP = 12;
const CAPTION = 62;
const SPARE_ROWS = 2;
// Height by width that fits most frames; the others stand inside it whole.
const CARD_ASPECT = quantile(frames.width.map((width, row) => frames.height[row] / width).sort((a, b) => a - b), 0.9) ?? 0.5625;

function extremeSide(row, choose, empty) {
  let found = empty;
  for (let box = frames.first_box[row]; box < frames.first_box[row + 1]; box++) {
    if (isLight(box) && shown.isBox[box]) found = choose(found, smallerSide(box));
  }
  return found;
}

/** Take the frames of the filters, in the chosen order. */
function orderFrames() {
  const key = ORDERS[order][1];
  const keys = key && new Map(shown.frames.map((row) => [row, key(row)]));
  // Infinity - Infinity is no number; frames without a light are all alike and come last.
  ordered = key ? [...shown.frames].sort((a, b) => (keys.get(a) === keys.get(b) ? a - b : keys.get(a) - keys.get(b))) : shown.frames;
}

function gridShape() {
  const width = document.getElementById("frames").clientWidth;
  const columns = Math.max(1, Math.floor((width + GAP) / (cardWidth + GAP)));
  const inner = (width - GAP * (columns - 1)) / columns;
  return { columns, width: inner, height: Math.round(inner * CARD_ASPECT) + CAPTION };
}

let drawn = new Map();

/** Draw the cards in sight; what has left it is removed. */
function renderGallery(isNew) {
  const place = document.getElementById("frames");
  if (place.hidden) return;
  if (isNew) { place.replaceChildren(); drawn = new Map(); }
  if (!ordered.length) {
    place.style.height = "auto";
    place.replaceChildren(el("p", { class: "empty" }, "No frame fulfils these filters."));
    return;
  }
  const shape = gridShape();
  const pitch = shape.height + GAP;
  place.style.height = `${Math.ceil(ordered.length / shape.columns) * pitch}px`;
  const top = -place.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(top / pitch) - SPARE_ROWS) * shape.columns;
  const last = Math.min(ordered.length, (Math.ceil((top + window.innerHeight) / pitch) + SPARE_ROWS) * shape.columns);
  for (const [number, card] of drawn) if (number < first || number >= last) { card.remove(); drawn.delete(number); }
  for (let number = first; number < last; number++) {
    let card = drawn.get(number);
    if (!card) { card = frameCard(ordered[number]); drawn.set(number, card); place.append(card); }
    const column = number % shape.columns;
    Object.assign(card.style, {
      width: `${shape.width}px`, height: `${shape.height}px`, left: `${column * (shape.width + GAP)}px`,
      top: `${Math.floor(number / shape.columns) * pitch}px`,
    });
  }
}

/** Scroll so far that a frame is in sight: whoever walked through frames finds the last one again. */
function revealFrame(row) {
  const number = ordered.indexOf(row);
  if (tab !== "frames" || number < 0) return;
  const shape = gridShape();
  const place = document.getElementById("frames").getBoundingClientRect().top;
  const top = Math.floor(number / shape.columns) * (shape.height + GAP) + place;
  if (top < 0 || top + shape.height > window.innerHeight) window.scrollBy(0, top - window.innerHeight / 3);
}

function frameCard(row) {
  const status = frames.label_status.word(row);
  const number = findingsOfFrame.get(row)?.length ?? 0;
  const facts = [...(frames.source.words.length > 1 ? ["source"] : []), "split", "weather", "scene", "time_of_day"];
  const margin = frames.width[row] / 200;
  const hasNoBox = status !== "unlabelled" && frames.first_box[row] === frames.first_box[row + 1];
  return el("button", { class: "card", type: "button", "data-frame": row, title: frames.id[row], onclick: () => openViewer(row) },
    el("span", { class: "picture" },
      isReadable(row) ? el("img", { src: `thumbs/${row}.jpg`, loading: "lazy", decoding: "async", alt: "" })
        : el("span", { class: "broken" }, "image cannot be read"),
      svg("svg", { viewBox: `0 0 ${frames.width[row]} ${frames.height[row]}` }, boxShapes(row, margin)),
      el("span", { class: "badges" },
        status !== "labelled" && el("b", { class: status }, status),
        hasNoBox && el("b", { class: "negative" }, "no box"),
        number > 0 && el("b", { class: "finding" }, countOf(number, "finding")))),
    el("span", { class: "caption" },
      el("span", { class: "id" }, el("bdi", {}, frames.id[row])),
      el("span", { class: "facts" }, facts.map((name) => spaced(frames[name].word(row) ?? ABSENT)).join(" · ")),
      stateDots(row)));
}

/** Lights of a frame by state: a dot and a number each. */
function stateDots(row) {
  const numbers = new Map();
  let others = 0;
  for (let box = frames.first_box[row]; box < frames.first_box[row + 1]; box++) {
    if (!isLight(box)) others++;
    else numbers.set(boxes.state.word(box), (numbers.get(boxes.state.word(box)) ?? 0) + 1);
  }
  const rank = (state) => (state === null ? page.states.length : page.states.indexOf(state));
  const dots = [...numbers].sort((a, b) => rank(a[0]) - rank(b[0])).map(([state, number]) =>
    el("span", { title: spaced(state ?? "state not given") }, el("i", { class: "dot", style: `background:${stateColour(state)}` }), String(number)));
  if (others) dots.push(el("span", { title: "other objects" }, el("i", { class: "dot square", style: `background:${OTHER_CATEGORY}` }), String(others)));
  return el("span", { class: "dots" }, dots);
}
