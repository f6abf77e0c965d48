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

function axis(more) {
  return { gridcolor: colour("line"), linecolor: colour("line"), zerolinecolor: colour("line"), tickcolor: colour("line"), automargin: true, fixedrange: true, ...more };
}

// A chart with a sentence for those who do not see it and a table with its numbers. `spec()` gives {traces, layout,
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
    made = spec();
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
  widths.observe(place);
  return draw;
}

// A chart is drawn when its place in the page is known, and again when that becomes wider or narrower.
const drawnWidth = new WeakMap();
const widths = new ResizeObserver((changes) => {
  for (const { target, contentRect } of changes) {
    const width = Math.round(contentRect.width);
    if (!width || drawnWidth.get(target) === width) continue;
    drawnWidth.set(target, width);
    requestAnimationFrame(() => charts.get(target)?.());
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
