// The filter: words, and conditions on columns such as  bits>=4  status=failed  message:"loss is nan".

const CONDITION = /^([^\s"!=<>:]+)(!=|>=|<=|=|>|<|:)([^]*)$/;

// Return the terms of a text, cut at its blanks; quotes keep blanks, and \" is a quote within them.
function termsOf(text) {
  const pieces = text.match(/(?:"(?:\\[^]|[^"\\])*"?|[^\s"])+/g) ?? [];
  return pieces.map((piece) => {
    const [, name, operator, value] = piece.match(CONDITION) ?? [];
    return name === undefined ? { word: unquoted(piece) } : { piece, name, operator, value: unquoted(value) };
  });
}

function unquoted(text) {
  return text.replace(/"((?:\\[^]|[^"\\])*)"?/g, (_, inner) => inner.replace(/\\([^])/g, "$1"));
}

function quoted(text) {
  return /^[^\s"\\]+$/.test(text) ? text : `"${text.replace(/[\\"]/g, "\\$&")}"`;
}

// Return the column with a name, or with a name that ends so after a dot or an underscore.
// Throws an Error that names the candidates.
function columnNamed(name, columns) {
  const lower = name.toLowerCase();
  const exact = columns.find((column) => column.name.toLowerCase() === lower);
  if (exact) return exact;
  const ends = (column) => [".", "_"].some((mark) => column.name.toLowerCase().endsWith(mark + lower));
  const matches = columns.filter(ends);
  if (matches.length === 1) return matches[0];
  if (matches.length) throw new Error(`${name}: matches several columns: ${matches.map((column) => column.name).join(", ")}`);
  const near = columns.filter((column) => column.name.toLowerCase().includes(lower)).slice(0, 4);
  const hint = near.length ? `; did you mean ${near.map((column) => column.name).join(" or ")}?` : "";
  throw new Error(`${name}: no such column${hint}`);
}

// Return a cell as a number. inf, -inf and nan are text in the data: JSON has no numbers for them.
function asNumber(cell) {
  if (typeof cell === "number") return cell;
  if (typeof cell !== "string" || cell.trim() === "") return NaN;
  const infinite = /^([+-]?)inf(inity)?$/i.exec(cell.trim());
  return infinite ? (infinite[1] === "-" ? -Infinity : Infinity) : Number(cell);
}

function asText(cell) {
  return cell === null ? "" : String(cell);
}

const COMPARISONS = {
  "<": (one, other) => one < other,
  "<=": (one, other) => one <= other,
  ">": (one, other) => one > other,
  ">=": (one, other) => one >= other,
};

function isEqual(cell, value) {
  if (cell === null) return value === "null" || value === "";
  if (typeof cell === "number") return value !== "" && asNumber(value) === cell;
  return cell === value || asText(cell).toLowerCase() === value.toLowerCase();
}

// Return a function of the number of a row: whether a condition on a column holds.
function conditionOf({ piece, name, operator, value }, columns) {
  const column = columnNamed(name, columns);
  if (operator === "=") return (row) => isEqual(column.cell(row), value);
  if (operator === "!=") return (row) => !isEqual(column.cell(row), value);
  if (operator === ":") {
    const part = value.toLowerCase();
    return (row) => asText(column.cell(row)).toLowerCase().includes(part);
  }
  const limit = asNumber(value);
  if (Number.isNaN(limit)) throw new Error(`${piece}: ${value || "nothing"} is not a number`);
  const compare = COMPARISONS[operator];
  return (row) => compare(asNumber(column.cell(row)), limit);
}

function wordOf(word, shown) {
  const part = word.toLowerCase();
  return (row) => shown.some((column) => asText(column.cell(row)).toLowerCase().includes(part));
}

// Return a function of the number of a row: whether it passes the filter. Words are searched in the shown columns.
// Throws an Error for a mistake in the filter.
function filterOf(text, columns, shown) {
  const tests = termsOf(text).map((term) => {
    if (term.word !== undefined) return wordOf(term.word, shown);
    const isWord = term.operator === ":" && !columns.some((column) => column.name.toLowerCase().endsWith(term.name.toLowerCase()));
    return isWord ? wordOf(unquoted(term.piece), shown) : conditionOf(term, columns);
  });
  return (row) => tests.every((test) => test(row));
}
