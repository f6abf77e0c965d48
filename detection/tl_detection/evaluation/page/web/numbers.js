// What is nearly nothing or nearly all has more digits, so that it is not shown as that.
function number(value, digits = 3) {
  if (value === null || value === undefined) return "-";
  const isNear = Math.abs(value) < 10 ** -digits || Math.abs(Number(value.toFixed(digits))) === 1;
  const isExact = [0, 1].includes(Math.abs(Number(value.toFixed(6))));
  return isNear && !isExact ? String(Number(value.toFixed(6))) : value.toFixed(digits);
}
const count = (value) => (value === null || value === undefined ? "-" : value.toLocaleString("en"));
// Of 10,000 lights one is not none, and all but one are not all.
function percent(value) {
  const text = (100 * value).toFixed(1);
  return ["0.0", "100.0"].includes(text) && value !== Number(text) / 100 ? String(Number((100 * value).toFixed(4))) : text;
}
const share = (value) => (value === null ? "-" : `${percent(value)} %`);
// Rates per thousand need fewer digits than shares.
const digitsOf = (quantity) => (quantity && quantity.largest === null ? 1 : 3);
const shown = (quantity, value) => number(value, digitsOf(quantity));
const interval = (value, quantity) => (value.low === null ? "-" : `${shown(quantity, value.low)} to ${shown(quantity, value.high)}`);
const plain = (word) => word.replaceAll("_", " ");

// "weather=rainy, time_of_day=night" as a reader says it.
const sliceWords = (row) => {
  if (!row.column) return "all frames";
  return row.column === "expression" ? row.name : partsOf(row).map((word, index) => valueWords(row.column.split("*")[index], word)).join(", ");
};
// Names are shown as they are, words of a vocabulary without underscores.
const NAMES = new Set(["sequence", "source", "split", "class_name", "source_label"]);
const valueWords = (column, word) => (NAMES.has(column) ? word : plain(word));
// The values of a cross; a name that holds the sign between them is not taken apart.
function partsOf(row) {
  const parts = row.value.split("*");
  return parts.length === row.column.split("*").length ? parts : [row.value];
}
const marked = (row) => sliceWords(row) + (row.is_small ? " *" : "");
const columnWords = (column) => (column ? column.split("*").map(plain).join(" × ") : "");

const NOTHING = { value: null, low: null, high: null, objects: 0, sequences: 0, part: null };
const valueOf = (row, key, className = ALL) =>
  (className === ALL ? row.values[key] : row.classes[className]?.[key]) ?? NOTHING;
const quantityOf = (key) => data.quantities.find((item) => item.key === key);

// A value that nobody annotated is no condition.
const isAnnotated = (row) => !row.value.split("*").includes("not annotated");
// From a measure of few things in a large slice, such as of its three red lights, one may conclude no more than from a
// small slice.
const isWeak = (row, value) => row.is_small || (value.value !== null && value.sequences < data.least_sequences);
const markedFor = (row, value) => sliceWords(row) + (isWeak(row, value) ? " *" : "");

const columns = [...new Set(data.rows.map((row) => row.column).filter(Boolean))];
const singles = columns.filter((column) => !column.includes("*"));
const rowsOf = (column) => data.rows.filter((row) => row.column === column);
const crosses = columns.filter((column) => column.split("*").length === 2 && rowsOf(column).some(isAnnotated) && rowsOf(column).every((row) => partsOf(row).length === 2));

// Slices as options, grouped by their column; `kept` says which.
function sliceOptions(kept) {
  const groups = columns
    .map((column) => ({ group: columnWords(column), options: rowsOf(column).filter(kept).map((row) => [row.name, marked(row)]) }))
    .filter((group) => group.options.length);
  return [...data.rows.filter((row) => !row.column && kept(row)).map((row) => [row.name, sliceWords(row)]), ...groups];
}

// The cells that stand beside every number: interval, frames, objects, sequences.
const besideNames = (quantity) => ["95 % interval", "frames in the slice", `measured on ${quantity.counted}`, "of sequences"];
const beside = (row, value, quantity) => [interval(value, quantity), count(row.frames), count(value.objects), count(value.sequences)];
const sequences = (value) => `${count(value.sequences)} ${value.sequences === 1 ? "sequence" : "sequences"}`;
// Of a rate how many of how many, of another measure how many objects.
function measuredOn(value, counted = "objects") {
  if (value.part === null) return `${count(value.objects)} ${counted}`;
  return counted === "objects" ? `${count(value.part)} of ${count(value.objects)}` : `${count(value.part)} in ${count(value.objects)} ${counted}`;
}
