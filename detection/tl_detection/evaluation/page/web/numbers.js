const number = (value, digits = 3) => (value === null || value === undefined ? "-" : value.toFixed(digits));
const count = (value) => (value === null || value === undefined ? "-" : value.toLocaleString("en"));
const share = (value) => (value === null ? "-" : `${(100 * value).toFixed(1)} %`);
const percent = (value) => (100 * value).toFixed(1);
// Rates per thousand need fewer digits than shares.
const digitsOf = (quantity) => (quantity && quantity.largest === null ? 1 : 3);
const shown = (quantity, value) => number(value, digitsOf(quantity));
const interval = (value, quantity) => (value.low === null ? "-" : `${shown(quantity, value.low)} to ${shown(quantity, value.high)}`);
const plain = (word) => word.replaceAll("_", " ");

// "weather=rainy, time_of_day=night" as a reader says it.
const sliceWords = (row) => {
  if (!row.column) return "all frames";
  return row.column === "expression" ? row.name : row.value.split("*").map(plain).join(", ");
};
const marked = (row) => sliceWords(row) + (row.is_small ? " *" : "");
const columnWords = (column) => (column ? column.split("*").map(plain).join(" × ") : "");

const NOTHING = { value: null, low: null, high: null, objects: 0, sequences: 0, part: null };
const valueOf = (row, key, className = ALL) =>
  (className === ALL ? row.values[key] : row.classes[className]?.[key]) ?? NOTHING;
const quantityOf = (key) => data.quantities.find((item) => item.key === key);

// A value that nobody annotated is no condition.
const isAnnotated = (row) => !row.value.split("*").includes("not annotated");

const columns = [...new Set(data.rows.map((row) => row.column).filter(Boolean))];
const singles = columns.filter((column) => !column.includes("*"));
const rowsOf = (column) => data.rows.filter((row) => row.column === column);
const crosses = columns.filter((column) => column.split("*").length === 2 && rowsOf(column).some(isAnnotated));

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
