// Counts of what the filters show: frames that pass, and of their boxes those that pass.

const HISTOGRAM_EDGES_PX = [0, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];

function shownLights() {
  const rows = [];
  for (let box = 0; box < boxCount; box++) if (shown.isBox[box] && isLight(box)) rows.push(box);
  return rows;
}

/** Quantile with linear interpolation, as numpy's default. */
function quantile(sorted, share) {
  if (!sorted.length) return null;
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (place - low);
}

function countWords(rows, word) {
  const numbers = new Map();
  for (const row of rows) numbers.set(word(row) ?? ABSENT, (numbers.get(word(row) ?? ABSENT) ?? 0) + 1);
  return [...numbers].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

function renderCounts() {
  const place = document.getElementById("counts");
  if (place.hidden) return;
  const lights = shownLights();
  const ofFrame = new Int32Array(frameCount);
  for (const box of lights) ofFrame[frameOfBox[box]]++;
  const allBoxes = [];
  for (let box = 0; box < boxCount; box++) if (shown.isBox[box]) allBoxes.push(box);
  const conditions = [["source", "source"], ["split", "split"], ["label_status", "labels"], ["weather", "weather"],
    ["scene", "scene"], ["time_of_day", "time of day"]];
  place.replaceChildren(
    networkBlock(lights),
    catalogFindings(),
    el("div", { class: "tables" },
      histogram("Width of lights", "frame px", lights.map((box) => px(boxes.w[box]))),
      histogram("Height of lights", "frame px", lights.map((box) => px(boxes.h[box]))),
      histogram("Smaller side of lights", `px at ${inputSize.join("×")}`, lights.map(smallerSide))),
    el("div", { class: "tables" },
      ...conditions.map(([name, title]) => frameTable(name, title, ofFrame)),
      barTable("category", "boxes", countWords(allBoxes, (box) => boxes.category.word(box))),
      barTable("state", "lights", countWords(lights, (box) => boxes.state.word(box)), stateColour),
      barTable("pictogram", "lights", countWords(lights, (box) => boxes.pictogram.word(box))),
      findings.frame.length > 0 && findingTable()),
    el("h2", {}, "Lights by state and condition"),
    el("div", { class: "tables wide" }, ...conditions.filter(([name]) => name !== "label_status")
      .map(([name, title]) => stateTable(name, title, lights))));
}

/** Findings of a check that are about no single frame. */
function catalogFindings() {
  if (!page.catalog_findings.length) return "";
  return el("details", { open: page.catalog_findings.length <= 5 },
    el("summary", {}, `${countOf(page.catalog_findings.length, "finding")} about the catalog as a whole`),
    el("ul", { class: "findings" }, page.catalog_findings.map(([rule, severity, message, remedy]) =>
      el("li", { class: severity }, el("b", {}, spaced(rule)), ` ${message}`, remedy && el("em", {}, ` → ${remedy}`)))));
}

function findingTable() {
  const rows = shown.frames.flatMap((row) => findingsOfFrame.get(row) ?? []);
  return barTable("finding", "findings", countWords(rows, (number) => findings.rule.word(number)));
}

function networkBlock(lights) {
  const sides = lights.map(smallerSide).sort((a, b) => a - b);
  const under = page.limits_px.map((limit) => {
    const number = sides.filter((side) => side < limit).length;
    return el("div", { class: "figure", "data-under": limit, "data-lights": number },
      el("strong", {}, percent(number, sides.length)), el("span", {}, `under ${limit} network px`), el("small", {}, countOf(number, "light")));
  });
  const middle = quantile(sides, 0.5);
  return el("div", { class: "figures" },
    el("div", { class: "figure" }, el("strong", {}, grouped(shown.frames.length)), el("span", {}, "frames")),
    el("div", { class: "figure" }, el("strong", {}, grouped(lights.length)), el("span", {}, "lights")),
    ...under,
    el("div", { class: "figure" }, el("strong", {}, middle === null ? ABSENT : middle.toFixed(1)), el("span", {}, "median, network px")),
    el("p", { class: "note" }, `Network pixels: the smaller of a light's width and height after its frame was laid into ${inputSize.join("×")} ` +
      "with its proportions kept (letterbox). Everything here counts what the filters show."));
}

function table(head, rows, name) {
  return el("table", { "data-table": name },
    el("thead", {}, el("tr", {}, head.map((word) => el("th", {}, word)))),
    el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell) => cell instanceof Element ? cell : el("td", {}, String(cell)))))));
}

const nameCell = (word, colour) => el("th", { scope: "row", title: word }, colour && el("i", { class: "dot", style: `background:${colour}` }), spaced(word));

function barCell(number, most) {
  return el("td", { class: "bar" }, el("span", { style: `width:${most ? (100 * number) / most : 0}%` }), el("b", {}, grouped(number)));
}

function frameTable(name, title, lightsOf) {
  const rows = new Map();
  for (const row of shown.frames) {
    const word = frames[name].word(row) ?? ABSENT;
    const numbers = rows.get(word) ?? [0, 0, 0];
    rows.set(word, [numbers[0] + 1, numbers[1] + (lightsOf[row] > 0 ? 1 : 0), numbers[2] + lightsOf[row]]);
  }
  const sorted = [...rows].sort((a, b) => b[1][0] - a[1][0] || (a[0] < b[0] ? -1 : 1));
  const most = Math.max(0, ...sorted.map(([, numbers]) => numbers[0]));
  return table([title, "frames", "with a light", "lights"],
    sorted.map(([word, numbers]) => [nameCell(word), barCell(numbers[0], most), grouped(numbers[1]), grouped(numbers[2])]), name);
}

function barTable(title, unit, counts, colour) {
  const most = Math.max(0, ...counts.map(([, number]) => number));
  return table([title, unit], counts.map(([word, number]) =>
    [nameCell(word, colour && colour(word === ABSENT ? null : word)), barCell(number, most)]), title);
}

function stateTable(name, title, lights) {
  const states = [...page.states, ABSENT].filter((state) => lights.some((box) => (boxes.state.word(box) ?? ABSENT) === state));
  const rows = new Map();
  for (const box of lights) {
    const word = frames[name].word(frameOfBox[box]) ?? ABSENT;
    if (!rows.has(word)) rows.set(word, new Map());
    const state = boxes.state.word(box) ?? ABSENT;
    rows.get(word).set(state, (rows.get(word).get(state) ?? 0) + 1);
  }
  const total = (numbers) => [...numbers.values()].reduce((sum, number) => sum + number, 0);
  const sorted = [...rows].sort((a, b) => total(b[1]) - total(a[1]));
  // The shade is the share of the row, so that conditions of different size compare.
  const heat = (number, whole) => el("td", { class: "heat", style: `--share:${whole ? number / whole : 0}` }, number ? grouped(number) : "0");
  return table([title, ...states.map(spaced), "lights"], sorted.map(([word, numbers]) =>
    [nameCell(word), ...states.map((state) => heat(numbers.get(state) ?? 0, total(numbers))), grouped(total(numbers))]), `state by ${name}`);
}

function histogram(title, unit, values) {
  const bins = HISTOGRAM_EDGES_PX.map(() => 0);
  for (const value of values) bins[HISTOGRAM_EDGES_PX.findLastIndex((edge) => edge <= value)]++;
  const most = Math.max(1, ...bins);
  const sorted = [...values].sort((a, b) => a - b);
  const told = [0.05, 0.5, 0.95].map((share) => quantile(sorted, share)).map((value) => (value === null ? ABSENT : value.toFixed(1)));
  const label = (i) => i + 1 < bins.length ? `${HISTOGRAM_EDGES_PX[i]} to ${HISTOGRAM_EDGES_PX[i + 1]}` : `${HISTOGRAM_EDGES_PX[i]} and more`;
  return el("figure", { class: "histogram", "data-bins": bins.join(",") },
    el("figcaption", {}, title, el("small", {}, unit)),
    el("div", { class: "bars" }, bins.map((number, i) => el("div", { class: "column", title: `${label(i)}: ${countOf(number, "light")}` },
      el("em", {}, number ? grouped(number) : ""), el("span", { style: `height:${(100 * number) / most}%` })))),
    el("div", { class: "edges" }, HISTOGRAM_EDGES_PX.map((edge) => el("span", {}, String(edge)))),
    el("p", { class: "note" }, `5% ${told[0]} · median ${told[1]} · 95% ${told[2]}`));
}
