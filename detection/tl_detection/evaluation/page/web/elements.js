const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const ALL = "all classes";
const OVERALL = "overall";

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function drawing(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A section; `short` is its name in the contents.
function section(id, title, short) {
  const made = element("section", { id, "aria-labelledby": `${id}-title` }, element("h2", { id: `${id}-title` }, title));
  at("main").append(made);
  at("contents").append(element("a", { href: `#${id}` }, short));
  return made;
}

// A labelled choice; `options` are words or [value, word] pairs, or {group, options}.
function choice(label, id, options, changed, chosen) {
  const made = element("select", { id });
  const add = (parent, option) => {
    if (option.group !== undefined) {
      const group = element("optgroup", { label: option.group });
      for (const inner of option.options) add(group, inner);
      parent.append(group);
    } else {
      const [value, word] = Array.isArray(option) ? option : [option, option];
      parent.append(element("option", { value }, word));
    }
  };
  for (const option of options) add(made, option);
  if (chosen !== undefined) made.value = chosen;
  made.addEventListener("change", () => changed(made.value));
  return element("label", {}, label, made);
}

// Rows are arrays of cells; the first cell of a row is its name. A cell is a word or an element.
function table(header, rows, { caption, kind, numbers = true } = {}) {
  const cell = (tag, content, index, scope) =>
    element(tag, { class: numbers && index ? "number" : undefined, scope }, content instanceof Node ? content : String(content));
  const made = element("table", { class: kind });
  if (caption) made.append(element("caption", {}, caption));
  if (header.length) made.append(element("thead", {}, element("tr", {}, ...header.map((word, index) => cell("th", word, index, "col")))));
  made.append(element("tbody", {}, ...rows.map((row) =>
    element("tr", {}, ...row.map((word, index) => (index ? cell("td", word, index) : cell("th", word, 0, "row")))))));
  return element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption || "table" }, made);
}
