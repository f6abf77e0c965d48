// What was said of which object, as a table that is its own alternative.
function states() {
  if (!Object.keys(data.matrices).length) return;
  const made = section("confusion", "What was said of which light", "Confusion");
  const place = element("div", { class: "panel", "aria-live": "polite" });
  const show = (slice) => place.replaceChildren(...matrix(data.matrices[slice]));
  made.append(
    element("div", { class: "controls" }, choice("condition", "matrix-slice", sliceOptions((row) => row.name in data.matrices), show)),
    place);
  show(OVERALL in data.matrices ? OVERALL : Object.keys(data.matrices)[0]);
}

const STOP = new Set(["red", "red_yellow"]);

function matrix({ labels, rows, nothing_there: nothing }) {
  const cell = (value, words, tint, grave) => {
    const made = element("td", { class: grave ? "grave" : undefined, title: `${count(value.part)} of ${count(value.objects)}, 95 % interval ${interval(value)}, ${count(value.sequences)} sequences` },
      count(value.part), element("small", {}, words));
    made.style.background = `rgba(${colour("heat")}, ${(0.5 * tint).toFixed(3)})`;
    return made;
  };
  const lines = rows.map((cells, index) => element("tr", {}, element("th", { scope: "row" }, plain(labels[index])),
    ...cells.map((value, at) => cell(value, value.value === null ? "-" : `${share(value.value)}${value.low === null ? "" : ` (${percent(value.low)}–${percent(value.high)})`}`, value.value ?? 0,
      value.part && isStop(labels[index]) && labels[at] === "green")),
    element("td", {}, count(cells[0].objects), element("small", {}, `${count(cells[0].sequences)} sequences`))));
  const frames = nothing.length ? nothing[0] : NOTHING;
  lines.push(element("tr", {}, element("th", { scope: "row" }, "nothing there"),
    ...nothing.map((value) => cell(value, value.value === null ? "-" : `${value.value.toFixed(1)}${value.low === null ? "" : ` (${value.low.toFixed(1)}–${value.high.toFixed(1)})`} per 1,000 frames`, 0, false)),
    element("td"), element("td", {}, count(frames.objects), element("small", {}, "frames"))));
  return [
    element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "confusion matrix" },
      element("table", { class: "matrix", id: "matrix" },
        element("caption", {}, "Rows: what it is. Columns: what was said of it. Shares are of the row, with 95 % intervals over sequences. Outlined: red said to be green."),
        element("thead", {}, element("tr", {}, element("td"), ...labels.map((name) => element("th", { scope: "col" }, plain(name))), element("th", { scope: "col" }, "missed"), element("th", { scope: "col" }, "all"))),
        element("tbody", {}, ...lines))),
  ];
}

// A class may stand for several states: "red/red_yellow".
const isStop = (label) => label.split("/").every((word) => STOP.has(word));

// Sections whose charts follow the choice of a slice.
function bySlice(id, title, short, slices, note) {
  if (!Object.keys(slices).length) return;
  let slice = OVERALL in slices ? OVERALL : Object.keys(slices)[0];
  const grid = element("div", { class: "grid" });
  const made = section(id, title, short);
  const show = (value) => {
    slice = value;
    clear(grid);
    for (const item of slices[slice]) chart(grid, item.title, () => steps(item));
  };
  made.append(element("p", { class: "soft" }, note), element("div", { class: "controls" }, choice("condition", `${id}-slice`, sliceOptions((row) => row.name in slices), show)), grid);
  show(slice);
}

const sizes = () => bySlice("sizes", "By size and kind of light", "Sizes", data.sizes, "Whiskers are 95 % intervals over sequences; numbers below the names count objects.");
const errors = () => bySlice("errors", "What goes wrong", "Errors", data.errors, "Kinds of errors as in TIDE. False positives are all kinds up to background; false negatives all objects that were not found. Numbers below the names count errors.");

// A quantity along a scale, with its intervals.
function steps({ scale, steps: list, is_ordered: isOrdered }) {
  const type = isOrdered ? "scatter" : "bar", isErrors = scale === "kind of error";
  const counts = list.every(([, value]) => value.value === null || value.value === value.part);
  const words = (value) => number(value.value, counts ? 0 : 3);
  const values = list.map(([, value]) => value);
  const names = list.map(([name]) => name);
  const highest = Math.max(0, ...values.map((value) => value.high ?? value.value ?? 0));
  const along = names.map((_, index) => index);
  return {
    traces: [{
      type, mode: "lines+markers", x: along, y: values.map((value) => value.value), hoverinfo: "text", textposition: "none",
      hovertext: list.map(([name, value]) => `${escaped(name)}: ${words(value)}, ${interval(value)}<br>${measuredOn(value)}, ${count(value.sequences)} sequences`),
      marker: { color: colour("bar"), size: 8 }, line: { color: colour("bar") },
      error_y: {
        type: "data", symmetric: false, color: colour("text"), thickness: 1.4, width: 4,
        array: values.map((value) => (value.high === null ? 0 : value.high - value.value)),
        arrayminus: values.map((value) => (value.low === null ? 0 : value.value - value.low)),
      },
    }],
    layout: {
      height: 340, bargap: 0.4,
      xaxis: axis({ tickmode: "array", tickvals: along, ticktext: list.map(([name, value]) => `${escaped(name)}<br>${count(isErrors ? value.part : value.objects)}`), title: { text: escaped(scale) }, range: [-0.5, along.length - 0.5] }),
      yaxis: axis({ range: [0, highest <= 1 ? Math.min(1.02, Math.max(0.1, 1.15 * highest)) : 1.1 * highest] }),
    },
    label: list.map(([name, value]) => `${name} ${words(value)}`).join(", "),
    table: () => table([scale, "value", "95 % interval", "counted", "of objects", "sequences"], list.map(([name, value]) => [name, words(value), interval(value), count(value.part), count(value.objects), count(value.sequences)])),
  };
}
