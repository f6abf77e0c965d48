// One frame, large: the original image where it lies, boxes and everything known of them, zoom to a box.

const viewer = { row: -1, box: -1, hidesBoxes: false, brightness: 1, view: null, pointer: null };
const BRIGHTNESS = [1, 2, 4];
const LABEL_PX = 13;
const dialog = document.getElementById("viewer");

function openViewer(row, box = -1) {
  viewer.row = row;
  viewer.box = box;
  viewer.view = box < 0 ? wholeFrame(row) : aroundBox(box);
  // Labels are sized by the place that the dialog has on the screen, so it opens first.
  if (!dialog.open) dialog.showModal();
  drawViewer();
  dialog.focus();
  writeHash();
}

function closeViewer() {
  dialog.close();
  leaveFrame();
}

function leaveFrame() {
  if (viewer.row < 0) return;
  revealFrame(viewer.row);
  viewer.row = -1;
  dialog.replaceChildren();
  writeHash();
}

// Escape closes the dialog by itself; the event comes late, when another frame may be open already.
dialog.addEventListener("close", () => { if (!dialog.open) leaveFrame(); });

const wholeFrame = (row) => [0, 0, frames.width[row], frames.height[row]];

function aroundBox(box) {
  const side = Math.max(6 * px(Math.max(boxes.w[box], boxes.h[box])), 60);
  const [x, y] = [px(boxes.x[box] + boxes.w[box] / 2), px(boxes.y[box] + boxes.h[box] / 2)];
  return [x - side, y - (side * 9) / 16, side * 2, (side * 18) / 16];
}

function step(distance) {
  const place = ordered.indexOf(viewer.row);
  const next = ordered[place + distance];
  if (next !== undefined) openViewer(next);
}

function drawViewer() {
  const { row } = viewer;
  const place = ordered.indexOf(row);
  const button = (text, title, onclick, extra = {}) => el("button", { type: "button", title, onclick, ...extra }, text);
  dialog.replaceChildren(
    el("div", { class: "stage" }, stage(row)),
    el("div", { class: "side" },
      el("div", { class: "tools" },
        button("‹", "previous (←)", () => step(-1), { disabled: place <= 0 }),
        button("›", "next (→)", () => step(1), { disabled: place < 0 || place + 1 >= ordered.length }),
        el("span", { class: "place" }, place < 0 ? "" : `${grouped(place + 1)} of ${grouped(ordered.length)}`),
        button("boxes", "show or hide boxes (b)", toggleBoxes, { class: viewer.hidesBoxes ? "" : "on" }),
        button(`light ×${viewer.brightness}`, "brighten the picture (l)", brighten, { class: viewer.brightness > 1 ? "on" : "" }),
        button("whole", "whole frame (0)", () => show(wholeFrame(viewer.row))),
        button("✕", "close (Esc)", closeViewer)),
      el("h2", {}, el("bdi", {}, frames.id[row])),
      page.unreadable[row] && el("p", { class: "fault" }, page.unreadable[row]),
      findingList(row), factTable(row), boxTable(row),
      el("p", { class: "note" }, "← → frames · wheel zooms · drag moves · 0 whole frame · b boxes · l light · Esc closes")));
  placeLabels();
}

function stage(row) {
  const [width, height] = [frames.width[row], frames.height[row]];
  const classes = ["canvas", viewer.hidesBoxes ? "bare" : ""].join(" ");
  const area = { x: 0, y: 0, width, height, preserveAspectRatio: "none", style: `filter:brightness(${viewer.brightness})` };
  const picture = svg("svg", {
    class: classes, viewBox: viewer.view.join(" "), onwheel: zoom, onpointerdown: grab, onpointermove: drag, onpointerup: drop,
  });
  if (isReadable(row)) {
    // The thumbnail is there at once; the image covers it as soon as it is loaded.
    const urls = imageUrls(row);
    const image = svg("image", { ...area, href: urls[0] });
    let tried = 0;
    image.addEventListener("error", () => { if (++tried < urls.length) image.setAttribute("href", urls[tried]); });
    image.addEventListener("load", () => { dialog.dataset.image = urls[tried]; });
    picture.append(svg("image", { ...area, href: `thumbs/${row}.jpg` }), image);
  } else {
    picture.append(svg("rect", { ...area, class: "broken" }));
  }
  picture.append(svg("g", { class: "boxes" }, boxShapes(row, 1)), svg("g", { class: "labels" }));
  return picture;
}

/** In a street full of cars only lights are named, and what was asked for. */
function isNamed(box) {
  return box === viewer.box || (shown.isBox[box] && (isLight(box) || boxFacets.some((item) => item.chosen.size)));
}

/** Labels keep their size on the screen, whatever the zoom. */
function placeLabels() {
  const picture = dialog.querySelector("svg.canvas");
  const labels = picture.querySelector(".labels");
  const pixels = picture.getBoundingClientRect();
  const unit = Math.max(viewer.view[2] / (pixels.width || 1), viewer.view[3] / (pixels.height || 1));
  const rows = [];
  for (let box = frames.first_box[viewer.row]; box < frames.first_box[viewer.row + 1]; box++) rows.push(box);
  labels.replaceChildren(...rows.map((box) => {
    const y = px(boxes.y[box]) - 1 - 4 * unit;
    const isAtTop = y - LABEL_PX * unit < viewer.view[1];
    return svg("text", {
      x: px(boxes.x[box]) - 1, y: isAtTop ? px(boxes.y[box] + boxes.h[box]) + (LABEL_PX + 2) * unit : y,
      "font-size": LABEL_PX * unit, "stroke-width": 3 * unit, fill: boxColour(box),
      class: [shown.isBox[box] ? "" : "aside", box === viewer.box ? "current" : ""].join(" "),
    }, isNamed(box) ? boxName(box) : boxNumber(box));
  }));
  // Enlarged pixels are shown as they are: smoothing would invent what the camera did not see.
  picture.classList.toggle("enlarged", unit < 0.5);
}

function show(view) {
  viewer.view = view;
  dialog.querySelector("svg.canvas").setAttribute("viewBox", view.join(" "));
  placeLabels();
}

/** Frame coordinates of a pointer. */
function framePoint(event) {
  const picture = dialog.querySelector("svg.canvas");
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
  return [point.x, point.y];
}

function zoom(event) {
  event.preventDefault();
  const [x, y] = framePoint(event);
  const wanted = viewer.view[2] * Math.exp(event.deltaY / 400);
  const factor = Math.min(Math.max(wanted, 8), 2 * frames.width[viewer.row]) / viewer.view[2];
  const [left, top, width, height] = viewer.view;
  show([x - (x - left) * factor, y - (y - top) * factor, width * factor, height * factor]);
}

function grab(event) {
  viewer.pointer = framePoint(event);
  event.currentTarget.setPointerCapture(event.pointerId);
}

function drag(event) {
  if (!viewer.pointer) return;
  const [x, y] = framePoint(event);
  show([viewer.view[0] + viewer.pointer[0] - x, viewer.view[1] + viewer.pointer[1] - y, viewer.view[2], viewer.view[3]]);
}

function drop() {
  viewer.pointer = null;
}

function toggleBoxes() {
  viewer.hidesBoxes = !viewer.hidesBoxes;
  drawViewer();
}

function brighten() {
  viewer.brightness = BRIGHTNESS[(BRIGHTNESS.indexOf(viewer.brightness) + 1) % BRIGHTNESS.length];
  drawViewer();
}

function findingList(row) {
  const rows = findingsOfFrame.get(row) ?? [];
  return rows.length > 0 && el("ul", { class: "findings" }, rows.map((number) => {
    const box = findings.box[number] < 0 ? -1 : frames.first_box[row] + findings.box[number];
    const where = box < 0 ? "" : ` #${findings.box[number]}`;
    const remedy = findings.remedy.word(number);
    return el("li", { class: findings.severity.word(number), onclick: box < 0 ? null : () => openViewer(row, box) },
      el("b", {}, `${spaced(findings.rule.word(number) ?? ABSENT)}${where}`), ` ${findings.message.word(number) ?? ""}`, remedy && el("em", {}, ` → ${remedy}`));
  }));
}

function factTable(row) {
  const size = `${frames.width[row]}×${frames.height[row]} px`;
  const scale = networkScale(row);
  const labels = [frames.label_status.word(row), frames.labelled_categories.word(row)].filter(Boolean).join(": ");
  const condition = (name) => frames[name].word(row) && spaced(frames[name].word(row));
  const facts = [["source", frames.source.word(row)], ["split", frames.split.word(row)], ["labels", labels],
    ["sequence", frames.sequence.word(row)], ["weather", condition("weather")], ["scene", condition("scene")],
    ["time of day", condition("time_of_day")], ["conditions from", frames.condition_source.word(row)],
    ["size", `${size}, ×${scale.toFixed(3)} at ${inputSize.join("×")}`], ["sensor", frames.pixel_format.word(row)],
    ["file", decodeURIComponent(frames.path[row])]];
  return el("table", { class: "plain" }, el("tbody", {}, facts.filter(([name, word]) => word !== null || name !== "sensor")
    .map(([name, word]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, word ?? ABSENT)))));
}

const DETAILS = ["pictogram", "relevance", "facing", "orientation", "aspects", "occluded", "truncated", "reflection", "ignore",
  "track_id", "source_label"];
const SPEAK_FOR_THEMSELVES = new Set(["pictogram", "relevance", "orientation"]);

/** What is known of a box besides its state; what its source does not say is left out. */
function details(box) {
  return DETAILS.map((name) => {
    const word = boxes[name].word(box);
    if (word === null || word === "no" || spaced(word) === spaced(boxes.category.word(box))) return "";
    if (word === "yes") return name;
    if (name === "aspects") return `${word} lenses`;
    if (name === "track_id" || name === "source_label") return `${spaced(name)} ${word}`;
    return SPEAK_FOR_THEMSELVES.has(name) && word !== "unknown" ? spaced(word) : `${name} ${spaced(word)}`;
  }).filter(Boolean).join(", ");
}

const NO_BOX = {
  labelled: "No box: looked at, nothing there.",
  partial: "No box of the categories that were labelled; others were not looked for.",
  unlabelled: "Unlabelled: nobody looked; this frame is no negative.",
};

function boxTable(row) {
  const rows = [];
  for (let box = frames.first_box[row]; box < frames.first_box[row + 1]; box++) rows.push(box);
  if (!rows.length) {
    return el("p", { class: "note" }, NO_BOX[frames.label_status.word(row)]);
  }
  return el("table", { class: "boxes" },
    el("thead", {}, el("tr", {}, ["#", "shows", "frame px", "network px"].map((word) => el("th", {}, word)))),
    el("tbody", {}, rows.map((box) => el("tr", {
      class: [shown.isBox[box] ? "" : "aside", box === viewer.box ? "current" : ""].join(" "), tabindex: 0, title: "zoom to this box",
      onclick: () => openViewer(row, box), onkeydown: (event) => { if (event.key === "Enter") openViewer(row, box); },
    },
    el("td", {}, String(box - frames.first_box[row])),
    el("td", {}, el("i", { class: isLight(box) ? "dot" : "dot square", style: `background:${boxColour(box)}` }),
      spaced(isLight(box) ? (boxes.state.word(box) ?? ABSENT) : boxes.category.word(box)),
      el("small", {}, details(box))),
    el("td", {}, `${px(boxes.w[box]).toFixed(1)}×${px(boxes.h[box]).toFixed(1)}`),
    el("td", {}, `${networkWidth(box).toFixed(1)}×${networkHeight(box).toFixed(1)}`)))));
}
