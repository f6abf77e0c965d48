// What was said of which object, as a table that is its own alternative.
function states() {
  if (!Object.keys(data.matrices).length) return;
  const made = section("confusion", "What was said of which light", "Confusion");
  const place = element("div", { class: "panel", "aria-live": "polite" });
  const show = (slice) => place.replaceChildren(...matrix(data.matrices[slice]));
  made.append(
    element("div", { class: "controls" }, choice("condition", "matrix-slice", sliceOptions((row) => Object.hasOwn(data.matrices, row.name)), show)),
    place);
  show(OVERALL in data.matrices ? OVERALL : Object.keys(data.matrices)[0]);
}

const STOP = new Set(["red", "red_yellow"]);

function matrix({ labels, rows, nothing_there: nothing }) {
  const cell = (value, words, tint, grave) => {
    const made = element("td", { class: grave ? "grave" : undefined, title: `${count(value.part)} of ${count(value.objects)}, 95 % interval ${interval(value)}, ${sequences(value)}` },
      count(value.part), element("small", {}, words));
    made.style.background = `rgba(${colour("heat")}, ${(0.5 * tint).toFixed(3)})`;
    return made;
  };
  const lines = rows.map((cells, index) => element("tr", {}, element("th", { scope: "row" }, plain(labels[index])),
    ...cells.map((value, at) => cell(value, value.value === null ? "-" : `${share(value.value)}${value.low === null ? "" : ` (${percent(value.low)}–${percent(value.high)})`}`, value.value ?? 0,
      value.part && isStop(labels[index]) && labels[at] === "green")),
    element("td", {}, count(cells[0].objects), element("small", {}, `${sequences(cells[0])}`))));
  const frames = nothing.length ? nothing[0] : NOTHING;
  lines.push(element("tr", {}, element("th", { scope: "row" }, "nothing there", element("small", {}, "per 1,000 frames")),
    ...nothing.map((value) => cell(value, value.value === null ? "-" : `${value.value.toFixed(1)}${value.low === null ? "" : ` (${value.low.toFixed(1)}–${value.high.toFixed(1)})`}`, 0, false)),
    element("td"), element("td", {}, count(frames.objects), element("small", {}, "frames"))));
  return [
    element("p", { class: "soft" }, "Rows: what it is. Columns: what was said of it. Shares are of the row, with 95 % intervals over sequences; in the last row they are per 1,000 frames. Outlined: red said to be green."),
    element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "confusion matrix" },
      element("table", { class: "matrix", id: "matrix" },
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
    for (const item of slices[slice]) chart(grid, item.title, (width) => steps(item, width));
  };
  made.append(element("p", { class: "soft" }, note), element("div", { class: "controls" }, choice("condition", `${id}-slice`, sliceOptions((row) => Object.hasOwn(slices, row.name)), show)), grid);
  show(slice);
}

const sizes = () => bySlice("sizes", "By size and kind of light", "Sizes", data.sizes, "Whiskers are 95 % intervals over sequences; hollow marks and hatched bars have none, as too few sequences hold such lights. Numbers beside the names count objects.");
const errors = () => bySlice("errors", "What goes wrong", "Errors", data.errors, "Kinds of errors as in TIDE; whiskers are 95 % intervals over sequences. False positives are all kinds up to background; false negatives all objects that were not found. Numbers beside the names count errors.");

// Without the steps before the first and after the last that holds anything.
function filled(list) {
  const held = list.map(([, value]) => value.objects > 0);
  return held.includes(true) ? list.slice(held.indexOf(true), held.lastIndexOf(true) + 1) : list;
}

// A quantity along a scale, with its intervals: upright where the steps are in order, else lying, for long names.
function steps({ scale, steps: all, is_ordered: isOrdered, is_count: isCount }, width) {
  const list = isOrdered ? filled(all) : all, isNarrow = width < 70 + 52 * list.length;
  const isErrors = scale === "kind of error", values = list.map(([, value]) => value);
  const words = (value) => number(value.value, isCount ? 0 : 3);
  const highest = Math.max(0, ...values.map((value) => value.high ?? value.value ?? 0));
  const places = list.map((_, index) => index), numbers = values.map((value) => value.value);
  const isWeak = (value) => value.low === null && !isErrors;
  const below = (value) => count(isErrors ? value.part : value.objects);
  const names = list.map(([name, value]) => (isOrdered ? `${escaped(name.replace(" px", ""))}<br>${below(value)}` : `${escaped(plain(name))} (${below(value)})`));
  const along = axis({ tickmode: "array", tickvals: places, ticktext: names, tickangle: 0, tickfont: { size: !isOrdered ? 13 : isNarrow ? 10 : names.length > 7 ? 11 : 13 }, showgrid: false, zeroline: false, title: isOrdered ? { text: escaped(scale) } : undefined, range: isOrdered ? [-0.5, places.length - 0.5] : [places.length - 0.5, -0.5] });
  const across = axis({ range: [0, highest <= 1 && !isCount ? Math.min(1.02, Math.max(0.1, 1.15 * highest)) : 1.1 * Math.max(1, highest)], nticks: 6 });
  const trace = {
    x: isOrdered ? places : numbers, y: isOrdered ? numbers : places, hoverinfo: "text", textposition: "none",
    hovertext: list.map(([name, value]) => `${escaped(name)}: ${words(value)}, ${interval(value)}<br>${measuredOn(value)}, ${sequences(value)}`),
    // What has no interval among others that have one is hollow or hatched.
    marker: isOrdered
      ? { color: colour("bar"), size: 8, symbol: values.map((value) => (isWeak(value) ? "circle-open" : "circle")) }
      : { color: colour("bar"), pattern: { shape: values.map((value) => (isWeak(value) ? "/" : "")), fillmode: "overlay", fgcolor: colour("panel"), fgopacity: 0.75, size: 6 } },
  };
  return {
    traces: [isOrdered ? { ...trace, type: "scatter", mode: "lines+markers", line: { color: colour("bar") } } : { ...trace, type: "bar", orientation: "h" }, whiskers(values, !isOrdered)],
    layout: isOrdered
      ? { height: 320, xaxis: along, yaxis: across }
      : { height: 60 + 30 * places.length, bargap: 0.35, xaxis: across, yaxis: along },
    label: list.map(([name, value]) => `${name} ${words(value)}`).join(", "),
    table: () => table([scale, "value", "95 % interval", "counted", "of objects", "sequences"], list.map(([name, value]) => [name, words(value), interval(value), count(value.part), count(value.objects), count(value.sequences)])),
  };
}
