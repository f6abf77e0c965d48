// Which frames and boxes are shown. Words of one facet are alternatives, facets are joined by "and". A frame is shown when
// the facets of frames hold, and, where a facet of boxes is set, when one of its boxes fulfils all of those together.

let inputSize = page.input_size;

/** Network pixels per frame pixel; the same rule as `letterbox.place`. */
const networkScale = (row) => Math.min(inputSize[0] / frames.width[row], inputSize[1] / frames.height[row]);
const networkWidth = (box) => px(boxes.w[box]) * networkScale(frameOfBox[box]);
const networkHeight = (box) => px(boxes.h[box]) * networkScale(frameOfBox[box]);
const smallerSide = (box) => Math.min(networkWidth(box), networkHeight(box));

const SIZE_LIMITS = [...page.limits_px, 16, 32];
const SIZE_WORDS = [
  `under ${SIZE_LIMITS[0]}`,
  ...SIZE_LIMITS.slice(1).map((limit, i) => `${SIZE_LIMITS[i]} to ${limit}`),
  `${SIZE_LIMITS.at(-1)} and more`,
];

function sizeIndex() {
  return Int32Array.from({ length: boxCount }, (_, box) => {
    if (!isLight(box)) return NOT_ASKED;
    const found = SIZE_LIMITS.findIndex((limit) => smallerSide(box) < limit);
    return found < 0 ? SIZE_LIMITS.length : found;
  });
}

/** A facet gives the values of a row: indices into its words, -1 = absent. */
function facet(key, title, words, index, options = {}) {
  return { key, title, words, index, of: "frame", chosen: new Set(), ...options };
}
const columnFacet = (key, title, table, of) => facet(key, title, table[key].words, table[key].index, { of });

// A car without a state is no light whose state is not given: what lights show is asked of lights alone.
const NOT_ASKED = -2;
const ofLights = (index) => index.map((value, box) => (isLight(box) ? value : NOT_ASKED));
const lightFacet = (key, title) => facet(key, title, boxes[key].words, ofLights(boxes[key].index), { of: "box" });

function findingFacet() {
  const lists = Array.from({ length: frameCount }, (_, row) => [
    ...new Set((findingsOfFrame.get(row) ?? []).map((number) => findings.rule.index[number])),
  ]);
  return facet("finding", "finding", findings.rule.words, null, { lists });
}

const contents = Int32Array.from({ length: frameCount }, (_, row) =>
  lightsInFrame[row] ? 0 : frames.label_status.word(row) === "unlabelled" ? 2 : 1,
);
const contentWords = ["with a light", "without a light", "nobody looked"];
const sizeFacet = facet("size", "light size, network px", SIZE_WORDS, sizeIndex(), { of: "box", ordered: true });
const readable = Int32Array.from({ length: frameCount }, (_, row) => (isReadable(row) ? 0 : 1));

const facets = [
  columnFacet("source", "source", frames, "frame"),
  columnFacet("split", "split", frames, "frame"),
  columnFacet("label_status", "labels", frames, "frame"),
  facet("content", "content", contentWords, contents),
  columnFacet("category", "category", boxes, "box"),
  lightFacet("state", "state"),
  lightFacet("pictogram", "pictogram"),
  sizeFacet,
  columnFacet("weather", "weather", frames, "frame"),
  columnFacet("scene", "scene", frames, "frame"),
  columnFacet("time_of_day", "time of day", frames, "frame"),
  findingFacet(),
  facet("image", "image file", ["readable", "unreadable"], readable),
];
const frameFacets = facets.filter((item) => item.of === "frame");
const boxFacets = facets.filter((item) => item.of === "box");

const valuesOf = (item, row) => (item.lists ? item.lists[row] : [item.index[row]]);
const wordOf = (item, value) => (value < 0 ? ABSENT : item.words[value]);
const holds = (item, row) => item.chosen.size === 0 || valuesOf(item, row).some((value) => item.chosen.has(value));

let searched = "";
let searchTexts = null;
function isFound(row) {
  if (!searched) return true;
  searchTexts ??= frames.id.map((id, i) => `${id}\n${frames.sequence.word(i) ?? ""}`.toLowerCase());
  return searchTexts[row].includes(searched.toLowerCase());
}

/** What is shown now: rows of frames in order, one flag per box, and how many frames each word of a facet would leave. */
const shown = { frames: [], isBox: new Uint8Array(boxCount), boxCount: 0, counts: new Map() };

function applyFilters() {
  const anyBoxFacet = boxFacets.some((item) => item.chosen.size);
  shown.counts = new Map(facets.map((item) => [item, new Map()]));
  shown.frames = [];
  shown.boxCount = 0;
  const count = (item, value) => shown.counts.get(item).set(value, (shown.counts.get(item).get(value) ?? 0) + 1);

  for (let row = 0; row < frameCount; row++) {
    const failing = frameFacets.filter((item) => !holds(item, row));
    const isCandidate = failing.length <= 1 && isFound(row);
    // Words of each box facet that this frame would offer if that facet were not set.
    const offered = new Map(boxFacets.map((item) => [item, new Set()]));
    let hasBox = false;
    for (let box = frames.first_box[row]; box < frames.first_box[row + 1]; box++) {
      const failingOfBox = isCandidate ? boxFacets.filter((item) => !holds(item, box)) : boxFacets;
      if (isCandidate && failingOfBox.length === 0) hasBox = true;
      shown.isBox[box] = isCandidate && failing.length === 0 && failingOfBox.length === 0 ? 1 : 0;
      shown.boxCount += shown.isBox[box];
      if (!isCandidate) continue;
      for (const item of boxFacets) {
        if (failingOfBox.length === 0 || (failingOfBox.length === 1 && failingOfBox[0] === item)) {
          offered.get(item).add(item.index[box]);
        }
      }
    }
    if (!isCandidate) continue;
    if (failing.length === 0) {
      for (const [item, values] of offered) values.forEach((value) => { if (value !== NOT_ASKED) count(item, value); });
    }
    if (anyBoxFacet && !hasBox) continue;
    for (const item of failing.length ? failing : frameFacets) valuesOf(item, row).forEach((value) => count(item, value));
    if (failing.length === 0) shown.frames.push(row);
  }
}

/** The filters as text of the address after "#", so that a view can be sent to somebody. */
function filtersToHash() {
  const values = new URLSearchParams();
  for (const item of facets) for (const value of item.chosen) values.append(item.key, wordOf(item, value));
  if (searched) values.set("text", searched);
  return values;
}

/** Words that the page does not know are left aside: an address may be older than the page. */
function filtersFromHash(values) {
  for (const item of facets) {
    const wanted = values.getAll(item.key).map((word) => (word === ABSENT ? -1 : item.words.indexOf(word)));
    item.chosen = new Set(wanted.filter((value, i) => value >= 0 || values.getAll(item.key)[i] === ABSENT));
  }
  searched = values.get("text") ?? "";
}

function setInputSize(text) {
  const found = /^\s*([1-9]\d{0,4})\s*[x×]\s*([1-9]\d{0,4})\s*$/i.exec(text);
  if (!found) return false;
  inputSize = [Number(found[1]), Number(found[2])];
  sizeFacet.index = sizeIndex();
  return true;
}

const FACET_ROWS = 12;
const unfolded = new Set();

function renderFilters(onChange) {
  const search = el("input", {
    id: "search", type: "search", placeholder: "frame or sequence  ( / )", value: searched, "aria-label": "frame or sequence",
    oninput: (event) => { searched = event.target.value.trim(); onChange(); },
  });
  const missing = facets.filter((item) => item.words.length === 0 && item.key !== "finding").map((item) => item.title);
  const groups = facets.map((item) => el("fieldset", { id: `facet-${item.key}` }));
  document.getElementById("filters").replaceChildren(
    el("details", { open: window.innerWidth > 800 }, el("summary", {}, "Filters"), search, groups,
      missing.length > 0 && el("p", { class: "note" }, `Not given by any source: ${missing.join(", ")}.`)),
  );
}

/** Refresh counts and ticks without taking the focus away from the search field. */
function refreshFilters(onChange) {
  const search = document.getElementById("search");
  if (search.value.trim() !== searched) search.value = searched;
  for (const item of facets) {
    const counts = shown.counts.get(item);
    const known = [...new Set([...counts.keys(), ...item.chosen])];
    if (item.ordered) known.sort((a, b) => a - b);
    else known.sort((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0) || a - b);
    const group = document.getElementById(`facet-${item.key}`);
    const isPlain = item.key === "image" && Object.keys(page.unreadable).length === 0;
    const isNeverGiven = item.words.length === 0;
    group.hidden = known.length === 0 || isPlain || isNeverGiven;
    const rows = unfolded.has(item.key) ? known : known.slice(0, FACET_ROWS);
    group.replaceChildren(
      el("legend", {}, item.title, item.chosen.size > 0 &&
        el("button", { type: "button", class: "link", onclick: () => { item.chosen.clear(); onChange(); } }, "clear")),
      ...rows.map((value) => facetRow(item, value, counts.get(value) ?? 0, onChange)),
      known.length > rows.length ? el("button", {
        type: "button", class: "link", onclick: () => { unfolded.add(item.key); refreshFilters(onChange); },
      }, `${known.length - rows.length} more`) : "",
    );
  }
}

function facetRow(item, value, number, onChange) {
  const word = wordOf(item, value);
  const tick = el("input", {
    type: "checkbox", checked: item.chosen.has(value), "data-word": word,
    onchange: () => { item.chosen[item.chosen.has(value) ? "delete" : "add"](value); onChange(); },
  });
  const isState = item.key === "state";
  return el("label", { class: number ? "row" : "row none", title: value < 0 ? "the source has no such field" : word },
    tick, isState && el("i", { class: "dot", style: `background:${stateColour(value < 0 ? null : word)}` }),
    el("span", { class: "word" }, value < 0 ? `${ABSENT} (not given)` : spaced(word)), el("span", { class: "number" }, grouped(number)));
}
