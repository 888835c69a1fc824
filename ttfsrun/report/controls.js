// What the reader asked of the table: kept in the address of the page, so that it can be passed on.

const FEW = 60; // values of a column that can be chosen from a list

// The state that the address tells; what it does not tell is as at the start.
function stateOf(hash, columns) {
  const told = new URLSearchParams(hash.replace(/^#/, ""));
  const names = told.get("columns");
  const known = new Set(columns.map((column) => column.name));
  const shown = names === null ? columns.filter((column) => column.shown).map((column) => column.name) : names.split(",");
  return {
    filter: told.get("filter") ?? "",
    sort: known.has(told.get("sort")) ? told.get("sort") : null,
    descending: told.get("order") === "descending",
    page: Math.max(1, Number.parseInt(told.get("page"), 10) || 1),
    size: SIZES.includes(Number(told.get("rows"))) ? Number(told.get("rows")) : SIZES[1],
    columns: new Set(shown.filter((name) => known.has(name))),
    theme: ["light", "dark"].includes(told.get("theme")) ? told.get("theme") : null,
  };
}

// The address that tells a state: only what is not as at the start.
function hashOf(state, columns) {
  const told = new URLSearchParams();
  if (state.filter) told.set("filter", state.filter);
  if (state.sort) told.set("sort", state.sort);
  if (state.sort && state.descending) told.set("order", "descending");
  if (state.page > 1) told.set("page", state.page);
  if (state.size !== SIZES[1]) told.set("rows", state.size);
  const shown = columns.filter((column) => state.columns.has(column.name)).map((column) => column.name);
  const usual = columns.filter((column) => column.shown).map((column) => column.name);
  if (shown.join() !== usual.join()) told.set("columns", shown.join());
  if (state.theme) told.set("theme", state.theme);
  return told.toString();
}

// Lists of values, for columns with few of them; choosing one changes the filter.
function fillChoices(sheet, columns, count, change) {
  const wanted = columns.filter((column) => ["status", "reason", "condition"].includes(column.name) || isSetting(column));
  for (const column of wanted) {
    const values = new Map();
    for (let row = 0; row < count && values.size <= FEW; row++) values.set(asText(column.cell(row)), column.cell(row));
    if (values.size < 2 || values.size > FEW) continue;
    const ordered = [...values.values()].sort((one, other) => compareCells(one, other, 1));
    const select = element("select", { "data-column": column.name }, element("option", { value: "" }, "any"));
    for (const value of ordered) select.append(element("option", { value: value === null ? "null" : asText(value) }, value === null ? "null" : asText(value)));
    select.addEventListener("change", () => change(column.name, select.value));
    sheet.append(element("label", {}, element("span", {}, ...breakable(column.name)), select));
  }
  return sheet.childElementCount > 0;
}

// The filter with `name=value` in it, instead of what it said of that column by "=" before; an empty value: without.
function withChoice(filter, name, value) {
  const kept = termsOf(filter).filter((term) => !(term.name === name && term.operator === "="));
  const words = kept.map((term) => (term.word !== undefined ? quoted(term.word) : term.name + term.operator + quoted(term.value)));
  return [...words, ...(value === "" ? [] : [`${name}=${quoted(value)}`])].join(" ");
}

// The lists show what the filter says.
function showChoices(sheet, filter) {
  const told = termsOf(filter);
  for (const select of sheet.querySelectorAll("select")) {
    const own = told.find((term) => term.name === select.dataset.column && term.operator === "=");
    select.value = own ? own.value : "";
    if (select.selectedIndex < 0) select.value = "";
  }
}

// A box to tick for each column, by group.
function fillColumns(sheet, columns, change) {
  const all = element("button", { type: "button" }, "all");
  const main = element("button", { type: "button" }, "main");
  all.addEventListener("click", () => change(columns.map((column) => column.name)));
  main.addEventListener("click", () => change(columns.filter((column) => column.shown).map((column) => column.name)));
  sheet.append(element("p", {}, main, all));
  for (const group of new Set(columns.map((column) => column.group))) {
    const boxes = columns.filter((column) => column.group === group).map((column) => {
      const box = element("input", { type: "checkbox", value: column.name });
      return element("label", {}, box, element("span", {}, ...breakable(column.name)));
    });
    sheet.append(element("fieldset", {}, element("legend", {}, group), ...boxes));
  }
  sheet.addEventListener("change", () => change([...sheet.querySelectorAll("input:checked")].map((box) => box.value)));
}

// Everything about one point, in a dialog.
function showPoint(dialog, columns, row) {
  const point = columns.find((column) => column.name === "point").cell(row);
  const list = element("dl", { class: "facts" });
  for (const column of columns) {
    const cell = column.cell(row);
    if (cell === null && !isSetting(column)) continue;
    list.append(element("div", {}, element("dt", {}, ...breakable(column.name)), element("dd", {}, cell === null ? "null" : String(cell))));
  }
  const close = element("button", { type: "button" }, "Close");
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(element("div", { class: "bar" }, element("h2", { id: "point-title" }, `Point ${point}`), close), list);
  dialog.showModal();
}

function pagerOf(page, pages, size, go, resize) {
  const button = (label, name, target) => {
    const made = element("button", { type: "button", "aria-label": name }, label);
    made.disabled = target < 1 || target > pages || target === page;
    made.addEventListener("click", () => go(target));
    return made;
  };
  const select = element("select", { "aria-label": "rows on a page" });
  for (const each of SIZES) select.append(element("option", { value: each }, `${each} rows`));
  select.value = String(size);
  select.addEventListener("change", () => resize(Number(select.value)));
  const where = element("span", {}, `${page.toLocaleString("en")} / ${pages.toLocaleString("en")}`);
  const turns = [button("«", "first page", 1), button("‹", "page before", page - 1), where, button("›", "next page", page + 1), button("»", "last page", pages)];
  return [...(pages > 1 ? turns : []), select];
}
