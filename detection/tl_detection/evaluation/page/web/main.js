function words() {
  for (const [index, item] of [...data.tables, ...data.facts].entries()) {
    const made = section(`facts-${index}`, item.title, item.short);
    if (item.rows.length) made.append(element("div", { class: "panel" }, table(item.header, item.rows, { caption: "", kind: item.header.length ? undefined : "facts", numbers: item.header.length > 0 })));
    made.append(...item.notes.map((note) => element("p", { class: "soft" }, note)));
  }
  const made = section("notes", "How to read this", "Notes");
  made.append(element("ul", {}, ...data.notes.map((note) => element("li", {}, note))));
}

at("headline").textContent = data.headline;
summary();
conditions();
curves();
states();
sizes();
errors();
gallery();
words();
drawAll();
document.documentElement.dataset.ready = "yes";
