function conditions() {
  const made = section("conditions", "By condition", "Conditions");
  let key = usual(), className = ALL;
  const drawn = [];
  const again = () => drawn.forEach((draw) => draw());
  made.append(
    element("p", { class: "soft" }, "Whiskers are 95 % intervals over sequences; the dashed line is the value of all frames; hatched bars (*) have too few objects or sequences to conclude from."),
    element("div", { class: "controls" },
      choice("measure", "bar-measure", data.quantities.map((item) => [item.key, item.label]), (value) => { key = value; again(); }, key),
      choice("class", "bar-class", [ALL, ...data.class_names], (value) => { className = value; again(); })));
  const grid = element("div", { class: "grid" });
  const overall = () => valueOf(data.rows[0], key, className);
  const silent = singles.filter((column) => !rowsOf(column).some(isAnnotated));
  if (silent.length) made.append(element("p", { class: "soft" }, `No frame says its ${silent.map(columnWords).join(", ")}.`));
  for (const column of singles) {
    const rows = rowsOf(column);
    if (silent.includes(column)) continue;
    if (rows.length > LARGEST_BARS) made.append(element("p", { class: "soft" }, `${columnWords(column)} has ${count(rows.length)} values: the summary lists them, the worst first.`));
    else drawn.push(chart(grid, columnWords(column), () => bars(key, overall(), rows.map((row) => [sliceWords(row), row, valueOf(row, key, className)]))));
  }
  const classRows = () => data.class_names.map((name) => [name, data.rows[0], valueOf(data.rows[0], key, name)]);
  if (!singles.includes("state")) drawn.push(chart(grid, stateTitle(), () => bars(key, valueOf(data.rows[0], key), classRows())));
  made.append(grid);
  if (crosses.length) crossed(() => [key, className], drawn);
}

// Of more values, such as all sequences, the ranking shows the worst.
const LARGEST_BARS = 24;
const stateTitle = () => (data.class_states.some(Boolean) ? "state (class)" : "class");

// `rows` are [word, row, value].
function bars(key, overall, rows) {
  const quantity = quantityOf(key);
  const named = rows.map(([word, row, value]) => word + (isWeak(row, value) ? " *" : ""));
  const words = rows.map(([, , value], index) => `${named[index]} (${count(value.objects)})`);
  const values = rows.map(([, , value]) => value.value);
  const hover = rows.map(([, row, value], index) =>
    `<b>${escaped(named[index])}</b><br>${quantity.label} ${shown(quantity, value.value)}, ${interval(value, quantity)}<br>` +
    `${count(row.frames)} frames, ${count(value.objects)} ${quantity.counted}, ${sequences(value)}`);
  const trace = {
    type: "bar", orientation: "h", x: values, y: rows.map((_, index) => index), hovertext: hover, hoverinfo: "text", textposition: "none",
    marker: { color: colour("bar"), pattern: { shape: rows.map(([, row, value]) => (isWeak(row, value) ? "/" : "")), fillmode: "overlay", fgcolor: colour("panel"), fgopacity: 0.75, size: 6 } },
  };
  const none = { type: "scatter", mode: "text", x: rows.map(() => 0), y: rows.map((_, index) => index), text: values.map((value) => (value === null ? "  -" : "")), textposition: "middle right", hoverinfo: "skip" };
  return {
    traces: [trace, whiskers(rows.map(([, , value]) => value), true), none],
    layout: {
      height: 88 + 30 * rows.length,
      bargap: 0.35,
      xaxis: axis({ range: quantity.largest ? [0, quantity.largest] : undefined, rangemode: "tozero", title: { text: quantity.label }, nticks: 6 }),
      yaxis: axis({ autorange: "reversed", tickmode: "array", tickvals: rows.map((_, index) => index), ticktext: words.map(escaped), showgrid: false, zeroline: false }),
      shapes: overall.value === null ? [] : [{ type: "line", x0: overall.value, x1: overall.value, yref: "paper", y0: 0, y1: 1, line: { color: colour("soft"), dash: "dash", width: 1 } }],
    },
    label: `${quantity.label}: ` + rows.map(([, , value], index) => `${named[index]} ${shown(quantity, value.value)}`).join(", "),
    table: () => table(["", quantity.label, ...besideNames(quantity)], rows.map(([, row, value], index) => [named[index], shown(quantity, value.value), ...beside(row, value, quantity)]), { caption: quantity.what }),
  };
}

// plotly reads words as a kind of HTML.
function escaped(word) {
  return word.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function crossed(chosen, drawn) {
  const made = section("crosses", `By ${crosses.map(columnWords).join(", ")}`, "Heat map");
  made.append(element("p", { class: "soft" }, "Measure and class are those chosen above. “-” no value; * too few objects or sequences to conclude from, without colour."));
  const grid = element("div", { class: "grid" });
  made.append(grid);
  for (const column of crosses) drawn.push(chart(grid, columnWords(column), (width) => heatMap(column, ...chosen(), width)));
}

function heatMap(column, key, className, width) {
  const quantity = quantityOf(key), rows = rowsOf(column);
  const parts = rows.map((row) => row.value.split("*").map((word, index) => valueWords(column.split("*")[index], word)));
  const [downs, acrosses] = [0, 1].map((index) => [...new Set(parts.map((part) => part[index]))]);
  const found = (down, across) => rows[parts.findIndex((part) => part[0] === down && part[1] === across)];
  const cells = downs.map((down) => acrosses.map((across) => found(down, across)));
  const isNarrow = width < 110 + 62 * acrosses.length;
  const value = (row) => (row ? valueOf(row, key, className) : NOTHING);
  const isFirm = (row) => row && value(row).value !== null && !isWeak(row, value(row));
  const highest = Math.max(1e-9, ...rows.filter(isFirm).map((row) => value(row).value));
  const words = (row) => `${number(value(row).value, quantity.largest ? 2 : 0)}${isWeak(row, value(row)) ? " *" : ""}<br>${count(value(row).objects)}`;
  // Dark words on light cells, light words on dark ones; what is not coloured has the words of the page.
  const inkOf = (row) => {
    if (!isFirm(row)) return colour("soft");
    const place = value(row).value / largest;
    return (quantity.less_is_better ? place < 0.72 : place > 0.5) ? "#111111" : "#ffffff";
  };
  const written = cells.flatMap((line, y) => line.map((row, x) => ({ row, x, y }))).filter(({ row }) => row);
  const largest = quantity.largest && !quantity.less_is_better ? quantity.largest : highest;
  return {
    traces: [{
      type: "heatmap", x: acrosses.map((_, index) => index), y: downs.map((_, index) => index), xgap: 2, ygap: 2, showscale: false,
      z: cells.map((line) => line.map((row) => (isFirm(row) ? value(row).value : null))), zmin: 0, zmax: largest,
      colorscale: quantity.less_is_better ? "Reds" : "Cividis", reversescale: false,
      hoverongaps: true,
      hoverinfo: "text",
      hovertext: cells.map((line) => line.map((row) => (row ? `${escaped(sliceWords(row))}<br>${quantity.label} ${shown(quantity, value(row).value)}, ${interval(value(row), quantity)}<br>` +
        `${count(row.frames)} frames, ${count(value(row).objects)} ${quantity.counted}, ${sequences(value(row))}` : "no frame"))),
    }],
    layout: {
      height: 70 + 46 * downs.length,
      annotations: written.map(({ row, x, y }) => ({ x, y, text: words(row), showarrow: false, font: { color: inkOf(row), size: isNarrow ? 10 : 13 } })),
      xaxis: axis({ tickmode: "array", tickvals: acrosses.map((_, index) => index), ticktext: acrosses.map((word) => (isNarrow ? escaped(word) : escaped(word).replaceAll(" ", "<br>"))), range: [-0.5, acrosses.length - 0.5], side: "top", tickangle: isNarrow ? -60 : 0, showgrid: false, zeroline: false, showline: false }),
      yaxis: axis({ tickmode: "array", tickvals: downs.map((_, index) => index), ticktext: downs.map(escaped), range: [downs.length - 0.5, -0.5], showgrid: false, zeroline: false, showline: false }),
    },
    label: `${quantity.label}; each cell holds the value and the number of objects.`,
    table: () => table([columnWords(column), quantity.label, ...besideNames(quantity)], rows.map((row) => [markedFor(row, value(row)), shown(quantity, value(row).value), ...beside(row, value(row), quantity)]), { caption: quantity.what }),
  };
}
