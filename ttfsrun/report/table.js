// The table of points: its columns, the rows that pass the filter, and their cells in the document.

const SIZES = [25, 50, 100, 500]; // rows on a page
const LONG = 40; // characters of a cell above which it is broken into lines

// Return the columns, each with a function from the number of a row to its cell.
function decoded(columns) {
  return columns.map(({ name, group, shown, same, values, kinds, codes }) => {
    const cell = values ? (row) => values[row] : codes ? (row) => kinds[codes[row]] : () => same ?? null;
    const cells = values ?? kinds ?? [same ?? null];
    const isNumeric = cells.some((value) => typeof value === "number") && cells.every((value) => value === null || !Number.isNaN(asNumber(value)) || value === "nan");
    return { name, group, shown, cell, isNumeric };
  });
}

// Compare cells: numbers, then text, then empty cells, which are last in both directions.
function compareCells(one, other, sign) {
  const rank = (cell) => (cell === null ? 2 : Number.isNaN(asNumber(cell)) ? 1 : 0);
  const [first, second] = [rank(one), rank(other)];
  if (first !== second) return first === 2 || second === 2 ? first - second : sign * (first - second);
  if (first === 2) return 0;
  if (first === 1) return sign * String(one).localeCompare(String(other), undefined, { numeric: true });
  const [low, high] = [asNumber(one), asNumber(other)];
  return low === high ? 0 : sign * (low - high);
}

// Return the numbers of the rows that pass the filter, sorted.
function chosenRows(state, columns, count) {
  const shown = columns.filter((column) => state.columns.has(column.name));
  const passes = filterOf(state.filter, columns, shown);
  const rows = [];
  for (let row = 0; row < count; row++) if (passes(row)) rows.push(row);
  const by = columns.find((column) => column.name === state.sort);
  if (by) {
    const sign = state.descending ? -1 : 1;
    rows.sort((one, other) => compareCells(by.cell(one), by.cell(other), sign) || one - other);
  }
  return rows;
}

// Return a new element of the document; attributes that are undefined are left out.
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Return a name, as nodes, that may be broken after its dots and underscores.
function breakable(name) {
  return name.split(/(?<=[._])/).flatMap((part, position) => (position ? [element("wbr"), part] : [part]));
}

// Whether a column is a setting, for which null is a value.
function isSetting(column) {
  return column.group.endsWith("settings") || column.group.startsWith("settings");
}

// Return the text of a cell: metrics to four digits; the title of the cell has all of them.
function shownCell(column, cell) {
  if (cell === null) return isSetting(column) ? "null" : "";
  if (typeof cell !== "number" || Number.isInteger(cell) || isSetting(column)) return String(cell);
  return Math.abs(cell) < 1e-4 || Math.abs(cell) >= 1e6 ? cell.toExponential(3) : cell.toPrecision(4);
}

function headOf(columns, state) {
  const row = element("tr");
  for (const column of columns) {
    const isSorted = state.sort === column.name;
    const order = isSorted ? (state.descending ? "descending" : "ascending") : undefined;
    const mark = element("span", { class: "order", "aria-hidden": "true" }, isSorted ? (state.descending ? "▼" : "▲") : "");
    const button = element("button", { type: "button", "data-sort": column.name, title: `sort by ${column.name}` }, ...breakable(column.name), mark);
    row.append(element("th", { scope: "col", "aria-sort": order, class: column.isNumeric ? "number" : undefined }, button));
  }
  return row;
}

function rowOf(columns, row) {
  const line = element("tr");
  for (const column of columns) {
    const cell = column.cell(row);
    if (column.name === "point") {
      const button = element("button", { type: "button", class: "link", "data-row": row, title: "show all columns of this point" }, String(cell));
      line.append(element("th", { scope: "row" }, button));
    } else if (column.name === "status") {
      line.append(element("td", { class: "state" }, element("i", { class: `dot ${cell}`, "aria-hidden": "true" }), String(cell)));
    } else {
      const text = shownCell(column, cell);
      const kind = column.isNumeric ? "number" : text.length > LONG ? "long" : undefined;
      const full = cell !== null && text !== String(cell) ? String(cell) : undefined;
      line.append(element("td", { class: kind, title: full }, text));
    }
  }
  return line;
}

function csvOf(columns, rows) {
  const field = (cell) => {
    const text = asText(cell);
    return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  const lines = [columns.map((column) => field(column.name)), ...rows.map((row) => columns.map((column) => field(column.cell(row))))];
  return lines.map((line) => line.join(",") + "\n").join("");
}
