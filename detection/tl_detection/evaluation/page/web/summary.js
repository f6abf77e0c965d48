// Conditions from which one may conclude, those that are too small, and frames whose condition nobody annotated.
const GROUPS = ["", "* too few objects or sequences to conclude from", "condition not annotated"];

function groupOf(row, key, className = ALL) {
  if (!isAnnotated(row)) return 2;
  return isWeak(row, valueOf(row, key, className)) ? 1 : 0;
}

// Rows with a value, group by group, the worst first.
function ranked(key, className = ALL) {
  const sign = quantityOf(key).less_is_better ? -1 : 1;
  return data.rows
    .filter((row) => row.column && valueOf(row, key, className).value !== null)
    .sort((a, b) => groupOf(a, key, className) - groupOf(b, key, className) || sign * (valueOf(a, key, className).value - valueOf(b, key, className).value));
}

function summary() {
  const made = section("summary", "Summary", "Summary");
  made.append(element("div", { class: "cards" }, ...data.quantities.filter((item) => item.is_headline && valueOf(data.rows[0], item.key).value !== null).map(card)));
  const place = element("div");
  let key = usual(), className = ALL, everything = false;
  const show = () => place.replaceChildren(...ranking(key, className, everything, () => { everything = !everything; show(); }));
  made.append(
    element("h3", {}, "The worst conditions first"),
    element("div", { class: "controls" },
      choice("measure", "rank-measure", data.quantities.map((item) => [item.key, item.label]), (value) => { key = value; show(); }, key),
      choice("class", "rank-class", [ALL, ...data.class_names], (value) => { className = value; show(); })),
    place);
  show();
}

// What most readers look for first.
const usual = () => (quantityOf("ap50") ?? data.quantities[0]).key;

function card(quantity) {
  const overall = valueOf(data.rows[0], quantity.key);
  const worst = ranked(quantity.key).find((row) => groupOf(row, quantity.key) === 0);
  const words = worst && valueOf(worst, quantity.key);
  return element("div", { class: "panel card", title: quantity.what },
    element("h3", {}, quantity.label),
    element("span", { class: "big" }, shown(quantity, overall.value) + (isWeak(data.rows[0], overall) ? " *" : "")),
    element("small", {}, `${overall.low === null ? "no interval" : interval(overall, quantity)} · ${measuredOn(overall, quantity.counted)}, ${sequences(overall)}`),
    worst ? element("div", { class: "worst" }, "worst: ", element("strong", {}, `${columnWords(worst.column)} ${sliceWords(worst)}`),
      ` ${shown(quantity, words.value)} (${words.low === null ? "no interval" : interval(words, quantity)}), ${measuredOn(words, quantity.counted)}, ${sequences(words)}`) : null);
}

const SHOWN = 10;

function ranking(key, className, everything, toggle) {
  const quantity = quantityOf(key), overall = valueOf(data.rows[0], key, className);
  const all = ranked(key, className), listed = everything ? all : all.slice(0, SHOWN);
  const highest = quantity.largest ?? Math.max(1e-9, ...all.map((row) => valueOf(row, key, className).high ?? valueOf(row, key, className).value));
  const line = (row, kind) => {
    const value = valueOf(row, key, className);
    return element("tr", { class: kind },
      element("th", { scope: "row" }, (row.column ? `${columnWords(row.column)}: ` : "") + markedFor(row, value)),
      element("td", { class: "number" }, shown(quantity, value.value)),
      element("td", { class: "number" }, interval(value, quantity)),
      element("td", { class: "span" }, spanBar(value, overall, highest)),
      element("td", { class: "number optional" }, count(row.frames)),
      element("td", { class: "number" }, count(value.objects)),
      element("td", { class: "number" }, count(value.sequences)),
      element("td", { class: "number optional" }, `${row.classes_present}/${data.class_names.length}`));
  };
  const heads = [["condition", ""], [quantity.label, "number"], ["95 % interval", "number"], ["", "span"], ["frames", "number optional"],
    [quantity.counted, "number"], ["sequences", "number"], ["classes", "number optional"]];
  const rows = [line(data.rows[0], "overall")];
  listed.forEach((row, index) => {
    const group = groupOf(row, key, className);
    if (group && (!index || groupOf(listed[index - 1], key, className) !== group))
      rows.push(element("tr", { class: "divider" }, element("td", { colspan: 8 }, GROUPS[group])));
    rows.push(line(row, group ? "small" : undefined));
  });
  const silent = data.rows.filter((row) => row.column && valueOf(row, key, className).value === null);
  const missing = silent.length ? element("p", { class: "soft" }, `No value: ${silent.map((row) => `${columnWords(row.column)} ${sliceWords(row)}`).join("; ")}.`) : null;
  const made = [
    element("p", { class: "soft" }, quantity.what + (quantity.less_is_better ? " Less is better." : "")),
    element("div", { class: "wide panel", tabindex: "0", role: "region", "aria-label": "worst conditions" },
      element("table", { class: "ranking", id: "ranking" },
        element("thead", {}, element("tr", {}, ...heads.map(([word, kind]) => element("th", { scope: "col", class: kind }, word)))),
        element("tbody", {}, ...rows))),
  ];
  if (all.length > SHOWN)
    made.push(element("p", {}, element("button", { class: "button", type: "button", id: "rank-all", onclick: toggle }, everything ? `the worst ${SHOWN} alone` : `all ${all.length} conditions`)));
  if (missing) made.push(missing);
  return made;
}

function spanBar(value, overall, highest) {
  const percent = (part) => `${Math.min(100, Math.max(0, (100 * part) / highest))}%`;
  const made = element("div", { class: "spanbar", "aria-hidden": "true" });
  const put = (tag, left, width) => {
    const mark = element(tag);
    mark.style.left = percent(left);
    if (width !== undefined) mark.style.width = percent(width);
    made.append(mark);
  };
  if (overall.value !== null) put("u", overall.value);
  if (value.low !== null) put("i", value.low, value.high - value.low);
  if (value.value !== null) put("b", value.value);
  return made;
}
