// Lights cut out of their frames, by state: a bounded, seeded choice, and of how many it was made.

function renderCrops() {
  const place = document.getElementById("crops");
  if (place.hidden) return;
  const totals = new Map();
  for (let box = 0; box < boxCount; box++) {
    if (isLight(box)) totals.set(boxes.state.word(box), (totals.get(boxes.state.word(box)) ?? 0) + 1);
  }
  const groups = [...page.states, null].filter((state) => totals.has(state));
  place.replaceChildren(
    el("p", { class: "note" }, "Chosen at random over sources and heights, smallest first. Each picture shows the light " +
      "with its surroundings as stored, enlarged without smoothing; the outline is the box. Filters apply; a click opens the whole frame."),
    ...groups.map((state) => cropGroup(state, totals.get(state))).filter(Boolean));
}

function cropGroup(state, total) {
  const ofState = page.crops.box.map((box, i) => [box, page.crops.region[i]]).filter(([box]) => boxes.state.word(box) === state);
  const visible = ofState.filter(([box]) => shown.isBox[box]).sort((a, b) => boxes.h[a[0]] - boxes.h[b[0]]);
  const note = `${countOf(ofState.length, "picture")} of ${countOf(total, "light")}`;
  if (!visible.length && facets.some((item) => item.chosen.size)) return null;
  return el("div", { class: "crop-group", "data-state": state ?? ABSENT },
    el("h2", {}, el("i", { class: "dot", style: `background:${stateColour(state)}` }), spaced(state ?? `${ABSENT} (state not given)`),
      el("small", {}, visible.length === ofState.length ? note : `${visible.length} shown by the filters, of ${note}`)),
    el("div", { class: "crop-list" }, visible.map(([box, region]) => cropCard(box, region))));
}

function cropCard(box, [left, top, width, height]) {
  const row = frameOfBox[box];
  const size = `${px(boxes.w[box]).toFixed(0)}×${px(boxes.h[box]).toFixed(0)}`;
  return el("button", { class: "crop", type: "button", title: `${frames.id[row]}\n${boxName(box)}`, onclick: () => openViewer(row, box) },
    el("span", { class: "picture" },
      el("img", { src: `crops/${box}.jpg`, loading: "lazy", decoding: "async", alt: "" }),
      svg("svg", { viewBox: `${left} ${top} ${width} ${height}` }, boxShape(box, 0))),
    el("span", { class: "size" }, `${size} px`));
}
