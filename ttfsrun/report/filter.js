// The language of the filter: words, and conditions on columns such as  bits>=4  status=failed  message:"loss is nan".

const CONDITION = /^([^\s"!=<>:]+)(!=|>=|<=|=|>|<|:)([^]*)$/;

// Cuts a text into terms at its blanks; quotes keep blanks, and \" is a quote within them.
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

// A column by its name, or by how it ends after a dot or an underscore; a mistake says what there is to choose from.
function columnNamed(name, columns) {
  const wanted = name.toLowerCase();
  const exact = columns.find((column) => column.name.toLowerCase() === wanted);
  if (exact) return exact;
  const ends = (column) => [".", "_"].some((mark) => column.name.toLowerCase().endsWith(mark + wanted));
  const found = columns.filter(ends);
  if (found.length === 1) return found[0];
  if (found.length) throw new Error(`${name}: several columns end so: ${found.map((one) => one.name).join(", ")}`);
  const near = columns.filter((column) => column.name.toLowerCase().includes(wanted)).slice(0, 4);
  const hint = near.length ? `; is one of these meant: ${near.map((one) => one.name).join(", ")}?` : "";
  throw new Error(`${name}: there is no such column${hint}`);
}

// inf, -inf and nan are text in the data, for JSON has no words for them.
function asNumber(cell) {
  if (typeof cell === "number") return cell;
  if (typeof cell !== "string" || cell.trim() === "") return NaN;
  const infinite = /^([+-]?)inf(inity)?$/i.exec(cell.trim());
  return infinite ? (infinite[1] === "-" ? -Infinity : Infinity) : Number(cell);
}

function asText(cell) {
  return cell === null ? "" : String(cell);
}

const COMPARED = {
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

// A function of a row number for each condition.
function conditionOf({ piece, name, operator, value }, columns) {
  const column = columnNamed(name, columns);
  if (operator === "=") return (row) => isEqual(column.cell(row), value);
  if (operator === "!=") return (row) => !isEqual(column.cell(row), value);
  if (operator === ":") {
    const part = value.toLowerCase();
    return (row) => asText(column.cell(row)).toLowerCase().includes(part);
  }
  const limit = asNumber(value);
  if (Number.isNaN(limit)) throw new Error(`${piece}: ${value || "nothing"} is no number`);
  const compare = COMPARED[operator];
  return (row) => compare(asNumber(column.cell(row)), limit);
}

function wordOf(word, shown) {
  const part = word.toLowerCase();
  return (row) => shown.some((column) => asText(column.cell(row)).toLowerCase().includes(part));
}

// Whether a row passes. Words are searched for in the columns that are shown; an Error says what is wrong.
function filterOf(text, columns, shown) {
  const tests = termsOf(text).map((term) => {
    if (term.word !== undefined) return wordOf(term.word, shown);
    const isWord = term.operator === ":" && !columns.some((column) => column.name.toLowerCase().endsWith(term.name.toLowerCase()));
    return isWord ? wordOf(unquoted(term.piece), shown) : conditionOf(term, columns);
  });
  return (row) => tests.every((test) => test(row));
}
