// Charts are redrawn when the colours of the system change, so each is kept with the function that draws it.
const charts = new Map();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x", "cross"];
const OTHERS = ["#4c78a8", "#e45756", "#72b7b2", "#b279a2", "#f58518", "#54a24b", "#9d755d", "#bab0ac"];

// Red and green look alike to many readers, so dashes and symbols tell classes apart, too.
function classStyle(index) {
  const state = data.class_states[index];
  return {
    colour: state && colour(state) ? colour(state) : OTHERS[index % OTHERS.length],
    dash: DASHES[index % DASHES.length],
    symbol: SYMBOLS[index % SYMBOLS.length],
  };
}

// The intervals of values that stand at places 0, 1, 2, ...; a value without one has none.
function whiskers(values, isLying) {
  const ends = values.map((value) => (value.value === null || value.low === null ? [null, null, null] : [value.low, value.high, null])).flat();
  const places = values.flatMap((_, index) => [index, index, index]);
  return {
    type: "scatter", mode: "lines+markers", x: isLying ? ends : places, y: isLying ? places : ends, hoverinfo: "skip", connectgaps: false,
    line: { color: colour("text"), width: 1.5 }, marker: { symbol: isLying ? "line-ns-open" : "line-ew-open", size: 8, color: colour("text"), line: { width: 1.5 } },
  };
}

function axis({ title, ...more }) {
  return { title: title && { font: { size: 13 }, standoff: 10, ...title }, gridcolor: colour("line"), linecolor: colour("line"), zerolinecolor: colour("line"), tickcolor: colour("line"), automargin: true, fixedrange: true, ...more };
}

// A chart with a sentence for those who do not see it and a table with its numbers. `spec(width)` gives {traces, layout,
// label, table}; `table` is a function, called when the table is opened.
function chart(parent, title, spec) {
  const place = element("div", { class: "chart", role: "img" });
  const inside = element("div");
  const details = element("details", {}, element("summary", {}, "Numbers as a table"), inside);
  parent.append(element("figure", { class: "panel" }, element("figcaption", {}, element("h3", {}, title)), place, details));
  let made;
  const fill = () => {
    if (details.open) inside.replaceChildren(made.table());
  };
  details.addEventListener("toggle", fill);
  const draw = () => {
    made = spec(place.clientWidth);
    place.setAttribute("aria-label", `${title}. ${made.label}`);
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: colour("text"), family: getComputedStyle(document.body).fontFamily, size: 13 },
      margin: { l: 10, r: 12, t: 8, b: 10 },
      showlegend: false,
      hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { color: colour("text") } },
      ...made.layout,
    };
    Plotly.react(place, made.traces, { ...layout, width: place.clientWidth }, { displayModeBar: false, scrollZoom: false });
    fill();
  };
  charts.set(place, draw);
  if (isLaidOut) drawIn(place);
  return draw;
}

// Charts are drawn when all parts of the page have their places, and again when these become wider or narrower.
let isLaidOut = false;
const drawnWidth = new WeakMap();

function drawIn(place) {
  drawnWidth.set(place, place.clientWidth);
  charts.get(place)();
  widths.observe(place);
}

function drawAll() {
  isLaidOut = true;
  for (const place of charts.keys()) drawIn(place);
}

const widths = new ResizeObserver((changes) => {
  for (const { target } of changes) {
    if (!target.clientWidth || drawnWidth.get(target) === target.clientWidth || !charts.has(target)) continue;
    requestAnimationFrame(() => drawIn(target));
  }
});

// Takes the charts of a part of the page away.
function clear(part) {
  for (const place of part.querySelectorAll(".chart")) {
    widths.unobserve(place);
    charts.delete(place);
  }
  part.replaceChildren();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const draw of charts.values()) draw();
});
