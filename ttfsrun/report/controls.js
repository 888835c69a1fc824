// The state of the table, kept in the address of the page so that it can be shared; menus, the dialog of a point, pages.

const MAX_CHOICES = 60; // values of a column that has a list of values

// Return the state in an address; what the address lacks is as at the start.
function stateOf(hash, columns) {
  const parameters = new URLSearchParams(hash.replace(/^#/, ""));
  const names = parameters.get("columns");
  const allNames = new Set(columns.map((column) => column.name));
  const shown = names === null ? columns.filter((column) => column.shown).map((column) => column.name) : names.split(",");
  return {
    filter: parameters.get("filter") ?? "",
    sort: allNames.has(parameters.get("sort")) ? parameters.get("sort") : null,
    descending: parameters.get("order") === "descending",
    page: Math.max(1, Number.parseInt(parameters.get("page"), 10) || 1),
    size: SIZES.includes(Number(parameters.get("rows"))) ? Number(parameters.get("rows")) : SIZES[1],
    columns: new Set(shown.filter((name) => allNames.has(name))),
    theme: ["light", "dark"].includes(parameters.get("theme")) ? parameters.get("theme") : null,
  };
}

// Return the address of a state: only what differs from the start.
function hashOf(state, columns) {
  const parameters = new URLSearchParams();
  if (state.filter) parameters.set("filter", state.filter);
  if (state.sort) parameters.set("sort", state.sort);
  if (state.sort && state.descending) parameters.set("order", "descending");
  if (state.page > 1) parameters.set("page", state.page);
  if (state.size !== SIZES[1]) parameters.set("rows", state.size);
  const shown = columns.filter((column) => state.columns.has(column.name)).map((column) => column.name);
  const initial = columns.filter((column) => column.shown).map((column) => column.name);
  if (shown.join() !== initial.join()) parameters.set("columns", shown.join());
  if (state.theme) parameters.set("theme", state.theme);
  return parameters.toString();
}

// Add a list of values for each column with few of them; choosing one changes the filter. Return whether there is any.
function fillChoices(panel, columns, count, change) {
  const candidates = columns.filter((column) => ["status", "reason", "condition"].includes(column.name) || isSetting(column));
  for (const column of candidates) {
    const values = new Map();
    for (let row = 0; row < count && values.size <= MAX_CHOICES; row++) values.set(asText(column.cell(row)), column.cell(row));
    if (values.size < 2 || values.size > MAX_CHOICES) continue;
    const ordered = [...values.values()].sort((one, other) => compareCells(one, other, 1));
    const select = element("select", { "data-column": column.name }, element("option", { value: "" }, "any"));
    for (const value of ordered) select.append(element("option", { value: value === null ? "null" : asText(value) }, value === null ? "null" : asText(value)));
    select.addEventListener("change", () => change(column.name, select.value));
    panel.append(element("label", {}, element("span", {}, ...breakable(column.name)), select));
  }
  return panel.childElementCount > 0;
}

// Return the filter with `name=value` instead of an earlier "=" of that column; an empty value: without one.
function withChoice(filter, name, value) {
  const others = termsOf(filter).filter((term) => !(term.name === name && term.operator === "="));
  const words = others.map((term) => (term.word !== undefined ? quoted(term.word) : term.name + term.operator + quoted(term.value)));
  return [...words, ...(value === "" ? [] : [`${name}=${quoted(value)}`])].join(" ");
}

// Select in the lists what the filter says.
function showChoices(panel, filter) {
  const terms = termsOf(filter);
  for (const select of panel.querySelectorAll("select")) {
    const term = terms.find(({ name, operator }) => name === select.dataset.column && operator === "=");
    select.value = term ? term.value : "";
    if (select.selectedIndex < 0) select.value = "";
  }
}

// Add a checkbox for each column, by group.
function fillColumns(panel, columns, change) {
  const all = element("button", { type: "button" }, "all");
  const main = element("button", { type: "button" }, "main");
  all.addEventListener("click", () => change(columns.map((column) => column.name)));
  main.addEventListener("click", () => change(columns.filter((column) => column.shown).map((column) => column.name)));
  panel.append(element("p", {}, main, all));
  for (const group of new Set(columns.map((column) => column.group))) {
    const boxes = columns.filter((column) => column.group === group).map((column) => {
      const box = element("input", { type: "checkbox", value: column.name });
      return element("label", {}, box, element("span", {}, ...breakable(column.name)));
    });
    panel.append(element("fieldset", {}, element("legend", {}, group), ...boxes));
  }
  panel.addEventListener("change", () => change([...panel.querySelectorAll("input:checked")].map((box) => box.value)));
}

// Show all columns of one point in a dialog.
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
    const control = element("button", { type: "button", "aria-label": name }, label);
    control.disabled = target < 1 || target > pages || target === page;
    control.addEventListener("click", () => go(target));
    return control;
  };
  const select = element("select", { "aria-label": "rows on a page" });
  for (const rows of SIZES) select.append(element("option", { value: rows }, `${rows} rows`));
  select.value = String(size);
  select.addEventListener("change", () => resize(Number(select.value)));
  const position = element("span", {}, `${page.toLocaleString("en")} / ${pages.toLocaleString("en")}`);
  const buttons = [button("«", "first page", 1), button("‹", "previous page", page - 1), position, button("›", "next page", page + 1), button("»", "last page", pages)];
  return [...(pages > 1 ? buttons : []), select];
}
