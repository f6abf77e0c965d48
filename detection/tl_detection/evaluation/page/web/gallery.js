const SIZES = [["", "all"], ["0-10", "under 10 px"], ["10-20", "10 to 20 px"], ["20-40", "20 to 40 px"], ["40-", "from 40 px"]];
const PER_PAGE = 48;

function gallery() {
  const shown = data.gallery;
  if (!shown) return;
  const made = section("cases", "The worst cases", "Worst cases");
  const kept = { kind: "", className: "", condition: "", size: "", words: "" };
  let list = shown.cases, page = 0;
  const found = element("span", { class: "soft", id: "case-count", role: "status" });
  const place = element("div", { class: "gallery", id: "gallery" });
  const back = element("button", { class: "button", type: "button", onclick: () => { page -= 1; show(); } }, "back");
  const next = element("button", { class: "button", type: "button", onclick: () => { page += 1; show(); } }, "next");
  const show = () => {
    const first = page * PER_PAGE, last = Math.min(first + PER_PAGE, list.length);
    found.textContent = list.length ? `${first + 1} to ${last} of ${list.length} cases` : "no such case";
    back.disabled = page === 0;
    next.disabled = last >= list.length;
    back.hidden = next.hidden = list.length <= PER_PAGE;
    place.replaceChildren(...list.slice(first, last).map((item, index) => caseCard(item, () => viewer(list, first + index))));
  };
  const filter = (name) => (value) => {
    kept[name] = value;
    list = shown.cases.filter((item) => passes(item, kept));
    page = 0;
    show();
  };
  const conditions = [...new Set(shown.cases.flatMap((item) => item.conditions.map(([column]) => column)))];
  const valuesOf = (column) => [...new Set(shown.cases.flatMap((item) => item.conditions.filter(([name]) => name === column).map(([, value]) => value)))];
  const kinds = Object.entries(shown.found).filter(([, number]) => number);
  const words = element("input", { type: "search", id: "case-words", placeholder: "frame or sequence", "aria-label": "frame or sequence" });
  words.addEventListener("input", () => filter("words")(words.value));
  made.append(
    element("p", { class: "soft" }, kinds.map(([kind, number]) => `${kind}: ${count(shown.cases.filter((item) => item.kind === kind).length)} of ${count(number)}`).join("; ") ||
      "No mistake of these kinds.", " ", ...shown.notes.flatMap((note) => [note, " "])),
    element("div", { class: "controls" },
      choice("kind", "case-kind", [["", "all"], ...kinds.map(([kind]) => kind)], filter("kind")),
      choice("class", "case-class", [["", "all"], ...data.class_names], filter("className")),
      choice("condition", "case-condition", [["", "all"], ...conditions.map((column) => ({ group: plain(column), options: valuesOf(column).map((value) => [`${column}=${value}`, plain(value)]) }))], filter("condition")),
      choice("height", "case-size", SIZES, filter("size")), words),
    element("div", { class: "controls" }, found, back, next, ...legend()), place);
  show();
}

function passes(item, { kind, className, condition, size, words }) {
  const [low, high] = size.split("-").map(Number);
  return (!kind || item.kind === kind) &&
    (!className || item.true_class === className || item.said_class === className) &&
    (!condition || item.conditions.some(([column, value]) => `${column}=${value}` === condition)) &&
    (!size || (item.height_px >= low && (!high || item.height_px < high))) &&
    (!words || `${item.frame_id} ${item.sequence ?? ""}`.toLowerCase().includes(words.toLowerCase()));
}

function legend() {
  const key = (kind, word) => element("span", { class: "key" },
    drawing("svg", { class: "boxes", viewBox: "0 0 26 14", "aria-hidden": "true" }, drawing("rect", { x: 2, y: 2, width: 22, height: 10, class: `${kind} none` })), word);
  return [key("", "annotated"), key("said", "detected")];
}

const caseWords = (item) => [
  item.score === null ? null : `score ${number(item.score, 2)}`, `${item.height_px.toFixed(0)} px high`,
  ...item.conditions.map(([, value]) => plain(value))].filter(Boolean).join(", ");

function caseCard(item, open) {
  return element("button", { class: "case", type: "button", onclick: open },
    picture(item.crop, item.crop_xyxy, item, "no picture"),
    element("span", { class: "words" },
      element("span", { class: "kind" }, item.title), element("span", { class: "soft" }, caseWords(item)),
      element("span", { class: "soft" }, `frame ${item.frame_id}`), element("span", { class: "soft" }, `sequence ${item.sequence ?? "-"}`)));
}

// A picture of a region of the frame, with the boxes that lie in it.
function picture(source, region, item, otherwise) {
  if (!source) return element("span", { class: "nothing" }, otherwise);
  const [left, top, right, bottom] = region;
  const visible = item.boxes.filter(({ xyxy }) => xyxy[2] > left && xyxy[0] < right && xyxy[3] > top && xyxy[1] < bottom);
  const marks = visible.flatMap((box) => {
    const place = { x: box.xyxy[0], y: box.xyxy[1], width: Math.max(0, box.xyxy[2] - box.xyxy[0]), height: Math.max(0, box.xyxy[3] - box.xyxy[1]) };
    const kind = [box.state || "none", box.score === null ? "" : "said", box.is_subject ? "subject" : ""].join(" ");
    const word = box.name + (box.score === null ? "" : ` ${number(box.score, 2)}`);
    return [drawing("rect", { ...place, class: "halo" }), drawing("rect", { ...place, class: kind }, drawing("title", {}, word))];
  });
  const image = element("img", { src: source, alt: `${item.title}, frame ${item.frame_id}`, loading: "lazy" });
  return element("span", { class: "picture" }, image,
    drawing("svg", { class: "boxes", viewBox: `${left} ${top} ${right - left} ${bottom - top}`, "aria-hidden": "true" }, ...marks));
}

let viewed = { list: [], index: 0 };

function viewer(list, index) {
  viewed = { list, index };
  const item = list[index], dialog = at("viewer"), [width, height] = item.frame_size_px;
  const go = (step) => () => { if (list[index + step]) viewer(list, index + step); };
  const button = (word, action, disabled) => element("button", { class: "button", type: "button", onclick: action, disabled }, word);
  const drawn = item.boxes.map((box) => [box.score === null ? "annotated" : "detected", box.name, number(box.score, 2), box.xyxy.map((x) => x.toFixed(0)).join(", "), box.is_subject ? "this case" : ""]);
  const pressed = dialog.contains(document.activeElement) ? document.activeElement.textContent : "next";
  dialog.replaceChildren(
    element("div", { class: "bar" }, element("h2", {}, `${item.kind}: ${item.title}`),
      button("previous", go(-1), index === 0), button("next", go(1), index === list.length - 1),
      button("boxes on or off", () => dialog.classList.toggle("without-boxes")), button("close", () => dialog.close())),
    element("p", { class: "soft" }, `frame ${item.frame_id} · sequence ${item.sequence ?? "-"} · source ${item.source} · ${caseWords(item)} · ${index + 1} of ${list.length}`),
    element("div", { class: "both" },
      picture(data.gallery.frames[item.frame_id], [0, 0, width, height], item, "no picture of the frame"),
      picture(item.crop, item.crop_xyxy, item, "no picture")),
    element("details", {}, element("summary", {}, `${drawn.length} boxes`), table(["", "class", "score", "x1, y1, x2, y2 in px", ""], drawn, { caption: "boxes" })));
  if (!dialog.open) dialog.showModal();
  // The buttons are new; whoever goes by keys stays where they were.
  const buttons = [...dialog.querySelectorAll("button:enabled")];
  (buttons.find((item) => item.textContent === pressed) ?? buttons.at(-1)).focus();
}

document.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!at("viewer").open || !step || !viewed.list[viewed.index + step]) return;
  event.preventDefault();
  viewer(viewed.list, viewed.index + step);
});
