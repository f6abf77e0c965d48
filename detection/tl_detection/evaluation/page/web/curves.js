function curves() {
  if (!Object.keys(data.curves).length) return;
  const made = section("curves", "Curves over score", "Curves");
  let slice = OVERALL, className = ALL;
  const drawn = [], grid = element("div", { class: "grid" });
  const again = () => drawn.forEach((draw) => draw());
  const rowNow = () => data.rows.find((row) => row.name === slice);
  const note = element("p", { class: "soft", "aria-live": "polite" });
  const tell = () => {
    const row = rowNow();
    note.textContent = `${row.column ? columnWords(row.column) + " " : ""}${marked(row)}: ${count(row.frames)} frames, ${count(row.objects)} objects, ${sequences(row)}. ` +
      "IoU 0.5. Marks stand at the operating scores." + (slice === OVERALL ? "" : " Thin lines: all frames.");
  };
  made.append(
    element("div", { class: "controls" },
      choice("condition", "curve-slice", sliceOptions((row) => Object.hasOwn(data.curves, row.name)), (value) => { slice = value; tell(); again(); }),
      choice("class", "curve-class", [ALL, ...data.class_names], (value) => { className = value; again(); })),
    note, grid);
  tell();
  const names = () => data.class_names.filter((name) => className === ALL || name === className);
  const kinds = [
    ["Precision over recall", "recall", "precision", (item) => item.over_score.map((point) => [point[2], point[1]]), (item) => item.operating.length ? [item.operating[2], item.operating[1]] : null],
    ["F1 over score", "score from which detections count", "F1", (item) => item.over_score.map((point) => [point[0], point[3]]), (item) => item.operating.length ? [item.operating[0], item.operating[3]] : null],
    ["Calibration", "mean score", "share that is right", (item) => item.calibration.map(([x, y]) => [x, y]), () => null],
  ];
  for (const [title, x, y, points, mark] of kinds)
    drawn.push(chart(grid, title, () => lines(slice, names(), { x, y, points, mark, diagonal: title === "Calibration" })));
}

// Beside a calibration stands its error.
function legendWords(slice, name, item, isCalibration) {
  const error = isCalibration ? valueOf(data.rows.find((row) => row.name === slice), "d_ece", name) : NOTHING;
  return error.value === null ? `${name} (${count(item.objects)})` : `${name}: error ${number(error.value, 2)} (${count(error.objects)})`;
}

function lines(slice, names, { x, y, points, mark, diagonal }) {
  const traces = [];
  if (diagonal) traces.push({ type: "scatter", mode: "lines", x: [0, 1], y: [0, 1], line: { color: colour("soft"), width: 1, dash: "dot" }, hoverinfo: "skip", showlegend: false });
  const shown = names.filter((name) => points(data.curves[slice][name]).length);
  for (const name of shown) {
    const index = data.class_names.indexOf(name), style = classStyle(index), item = data.curves[slice][name];
    if (slice !== OVERALL) {
      const whole = points(data.curves[OVERALL][name]);
      traces.push({ type: "scatter", mode: "lines", x: whole.map((p) => p[0]), y: whole.map((p) => p[1]), line: { color: style.colour, width: 1 }, opacity: 0.45, hoverinfo: "skip", showlegend: false });
    }
    const own = points(item);
    const counts = diagonal ? item.calibration.map((p) => `, ${count(p[2])} detections`) : own.map(() => "");
    traces.push({
      type: "scatter", mode: diagonal ? "lines+markers" : "lines", name: escaped(legendWords(slice, name, item, diagonal)), x: own.map((p) => p[0]), y: own.map((p) => p[1]),
      line: { color: style.colour, width: 2.2, dash: style.dash }, marker: { symbol: style.symbol, size: 7, color: style.colour },
      hovertext: own.map((p, i) => `${escaped(name)}<br>${x} ${number(p[0])}<br>${y} ${number(p[1])}${counts[i]}`), hoverinfo: "text",
    });
    const point = mark(item);
    if (point) traces.push({ type: "scatter", mode: "markers", x: [point[0]], y: [point[1]], marker: { symbol: style.symbol, size: 11, color: style.colour, line: { color: colour("text"), width: 1.5 } }, hoverinfo: "skip", showlegend: false });
  }
  return {
    traces,
    layout: {
      height: 380,
      showlegend: true,
      legend: { orientation: "h", y: -0.22, x: 0 },
      xaxis: axis({ range: [0, 1.01], title: { text: x } }),
      yaxis: axis({ range: [0, 1.02], title: { text: y } }),
      annotations: shown.length ? [] : [{ text: "no value", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 }],
    },
    label: shown.length ? `${y} over ${x} for ${shown.join(", ")}.` : "No value.",
    table: () => table(["class", x, y, ...(diagonal ? ["detections"] : [])],
      shown.flatMap((name) => points(data.curves[slice][name]).map((p, i) => [name, number(p[0]), number(p[1]), ...(diagonal ? [count(data.curves[slice][name].calibration[i][2])] : [])])),
      { caption: `${y} over ${x}` }),
  };
}
