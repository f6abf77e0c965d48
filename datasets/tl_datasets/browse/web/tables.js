// The data of the page as typed columns, and how elements are made. Text becomes text nodes and attributes, never markup.

const ABSENT = "-"; // the source has no such field; "unknown" and "off" are words of their own

const page = JSON.parse(document.getElementById("data").textContent);

/** A column of words: `index` points into `words`, -1 = absent. */
function wordColumn({ words, index }, length) {
  const numbers = Array.isArray(index) ? Int32Array.from(index) : new Int32Array(length).fill(index);
  return { words, index: numbers, word: (row) => (numbers[row] < 0 ? null : words[numbers[row]]) };
}

function withWords(table, length) {
  const isWords = (value) => value !== null && typeof value === "object" && "words" in value;
  return Object.fromEntries(
    Object.entries(table).map(([name, value]) => [name, isWords(value) ? wordColumn(value, length) : value]),
  );
}

const frames = withWords(page.frames, page.frames.id.length);
const boxes = withWords(page.boxes, page.boxes.x.length);
const findings = withWords(page.findings, page.findings.frame.length);
const frameCount = frames.id.length;
const boxCount = boxes.x.length;

/** Row of the frame of each box. */
const frameOfBox = new Int32Array(boxCount);
for (let row = 0; row < frameCount; row++) frameOfBox.fill(row, frames.first_box[row], frames.first_box[row + 1]);

const lightWord = boxes.category.words.indexOf("traffic_light");
const isLight = (box) => lightWord >= 0 && boxes.category.index[box] === lightWord;

const lightsInFrame = new Int32Array(frameCount);
for (let box = 0; box < boxCount; box++) if (isLight(box)) lightsInFrame[frameOfBox[box]]++;

/** Rows of the findings of each frame that has some. */
const findingsOfFrame = new Map();
findings.frame.forEach((row, number) => {
  if (!findingsOfFrame.has(row)) findingsOfFrame.set(row, []);
  findingsOfFrame.get(row).push(number);
});

const viewed = new Set(page.viewed);
const isReadable = (row) => !(row in page.unreadable);
const px = (steps) => steps / page.steps_per_px;

/** Where the image of a frame may be, best first; the thumbnail is always the last resort. */
function imageUrls(row) {
  const urls = [`thumbs/${row}.jpg`];
  if (viewed.has(row)) return [`views/${row}.jpg`, ...urls];
  const roots = page.roots[frames.source.word(row)];
  return [...roots.map((root) => `${root}/${frames.path[row]}`), ...urls];
}

/** Make an element: el("p", { class: "note", onclick: f }, "text", child). False, null and undefined are left out. */
function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== false && child !== null && child !== undefined));
  return element;
}

const grouped = new Intl.NumberFormat("en").format;
const countOf = (number, noun) => `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;
const percent = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)}%` : ABSENT);
const spaced = (word) => word.replaceAll("_", " ");
