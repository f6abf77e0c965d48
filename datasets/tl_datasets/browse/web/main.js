// Puts the parts together: tabs, the bar above them, the address, keys.

const TABS = { frames: "Frames", crops: "Crops", counts: "Counts" };
let tab = "frames";

function update({ keepsAddress = false, keepsPlace = false } = {}) {
  applyFilters();
  orderFrames();
  refreshFilters(changed);
  renderBar();
  for (const name of Object.keys(TABS)) document.getElementById(name).hidden = name !== tab;
  for (const button of document.querySelectorAll("#tabs button")) button.setAttribute("aria-selected", String(button.dataset.tab === tab));
  if (!keepsPlace) window.scrollTo(0, 0);
  renderGallery(true);
  renderCrops();
  renderCounts();
  if (!keepsAddress) writeHash();
}

const changed = () => update();

/** The view as an address; what is as it was at the beginning is left out. */
function writeHash() {
  const values = filtersToHash();
  if (tab !== "frames") values.set("tab", tab);
  if (order !== "catalog") values.set("order", order);
  if (inputSize.join() !== page.input_size.join()) values.set("input", inputSize.join("x"));
  if (viewer.row >= 0) values.set("frame", frames.id[viewer.row]);
  const text = values.toString();
  history.replaceState(null, "", text ? `#${text}` : "#");
}

function readHash() {
  const values = new URLSearchParams(location.hash.slice(1));
  filtersFromHash(values);
  tab = Object.hasOwn(TABS, values.get("tab") ?? "") ? values.get("tab") : "frames";
  order = Object.hasOwn(ORDERS, values.get("order") ?? "") ? values.get("order") : "catalog";
  setInputSize(values.get("input") ?? page.input_size.join("x"));
  document.getElementById("input-size").value = inputSize.join("x");
  const row = frames.id.indexOf(values.get("frame"));
  update({ keepsAddress: true });
  if (row >= 0) openViewer(row);
  else if (dialog.open) closeViewer();
}

function renderBar() {
  const chips = facets.flatMap((item) => [...item.chosen].map((value) => el("button", {
    type: "button", class: "chip", title: "remove this filter", onclick: () => { item.chosen.delete(value); update(); },
  }, `${item.title}: ${spaced(wordOf(item, value))} ✕`)));
  if (searched) chips.push(el("button", { type: "button", class: "chip", onclick: () => { searched = ""; update(); } }, `text: ${searched} ✕`));
  const clear = () => { for (const item of facets) item.chosen.clear(); searched = ""; update(); };
  const ofAll = shown.frames.length === frameCount ? "" : ` of ${grouped(frameCount)}`;
  document.getElementById("bar").replaceChildren(
    el("span", { id: "result", "data-frames": shown.frames.length, "data-boxes": shown.boxCount },
      el("b", {}, `${grouped(shown.frames.length)}${ofAll}`), ` frame${shown.frames.length === 1 && !ofAll ? "" : "s"}, `,
      el("b", {}, grouped(shown.boxCount)), ` box${shown.boxCount === 1 ? "" : "es"}`),
    ...chips, chips.length > 1 ? el("button", { type: "button", class: "link", onclick: clear }, "clear all") : "",
    el("span", { class: "space" }),
    el("span", { class: "gallery-tools", style: tab === "frames" ? "" : "display:none" },
      el("label", {}, "order ", el("select", { id: "order", onchange: (event) => { order = event.target.value; update(); } },
        Object.entries(ORDERS).map(([key, [title]]) => el("option", { value: key, selected: key === order }, title)))),
      el("label", { title: "size of the pictures" }, "size ", el("input", {
        type: "range", min: 180, max: 520, step: 20, value: cardWidth, oninput: (event) => { cardWidth = Number(event.target.value); renderGallery(true); },
      }))));
}

function renderHead() {
  const isPart = frameCount < page.frames_in_catalog;
  const unreadable = Object.keys(page.unreadable).length;
  document.getElementById("about").replaceChildren(
    isPart ? `${grouped(frameCount)} of ${countOf(page.frames_in_catalog, "frame")} of the catalog` : countOf(frameCount, "frame"),
    ` · fingerprint ${page.fingerprint}`,
    unreadable ? el("b", { class: "fault" }, ` · ${countOf(unreadable, "image")} cannot be read`) : "");
  document.getElementById("tabs").replaceChildren(...Object.entries(TABS).map(([name, title]) =>
    el("button", { type: "button", role: "tab", "data-tab": name, onclick: () => { tab = name; update(); } }, title)));
  const field = document.getElementById("input-size");
  field.addEventListener("change", () => {
    field.classList.toggle("wrong", !setInputSize(field.value));
    if (!field.classList.contains("wrong")) update({ keepsPlace: true });
  });
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (dialog.open) {
    const actions = {
      ArrowLeft: () => step(-1), ArrowRight: () => step(1), b: toggleBoxes, l: brighten, 0: () => show(wholeFrame(viewer.row)),
    };
    if (actions[event.key]) { event.preventDefault(); actions[event.key](); }
  } else if (event.key === "/" && !(event.target instanceof HTMLInputElement)) {
    event.preventDefault();
    document.querySelector("#filters details").open = true;
    document.getElementById("search").focus();
  }
}

renderHead();
renderFilters(changed);
readHash();
document.addEventListener("keydown", onKey);
window.addEventListener("hashchange", readHash);
window.addEventListener("scroll", () => renderGallery(false), { passive: true });
window.addEventListener("resize", () => { renderGallery(true); if (dialog.open) placeLabels(); });
// For whoever measures the page: when the first view stood.
document.documentElement.dataset.readyMs = performance.now().toFixed(0);
