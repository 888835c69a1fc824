// Starts the page: the table follows the address, and the address follows the reader's actions.

function save(name, text) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const byId = (id) => document.getElementById(id);

// Change the state, the address and the table. view: data, columns, state, and the rows that pass the filter.
function change(view, changes) {
  view.state = { ...view.state, page: 1, ...changes };
  keepAddress(view);
  show(view);
}

function keepAddress(view) {
  history.replaceState(null, "", `#${hashOf(view.state, view.columns)}`);
}

function show(view) {
  const { state, columns, data } = view;
  const message = byId("filter-error");
  try {
    view.rows = chosenRows(state, columns, data.rows);
    message.textContent = "";
  } catch (error) {
    message.textContent = error.message;
  }
  byId("filter").setAttribute("aria-invalid", String(message.textContent !== ""));
  const pages = Math.max(1, Math.ceil(view.rows.length / state.size));
  state.page = Math.min(state.page, pages);
  const start = (state.page - 1) * state.size;
  const part = view.rows.slice(start, start + state.size);
  const shown = columns.filter((column) => state.columns.has(column.name));
  const focused = document.activeElement?.dataset?.sort;
  document.querySelector("#table thead").replaceChildren(headOf(shown, state));
  document.querySelector("#table tbody").replaceChildren(...part.map((row) => rowOf(shown, row)));
  if (focused) [...document.querySelectorAll("[data-sort]")].find((button) => button.dataset.sort === focused)?.focus();
  showControls(view, start, part.length, pages);
}

function showControls(view, start, length, pages) {
  const { state, data, rows } = view;
  const grouped = (number) => number.toLocaleString("en");
  const total = rows.length === data.rows ? "" : ` of ${grouped(data.rows)}`;
  const range = length ? `, ${grouped(start + 1)} to ${grouped(start + length)} shown` : "";
  byId("count").textContent = `${grouped(rows.length)}${total} rows${range}`;
  const pager = pagerOf(state.page, pages, state.size, (page) => change(view, { page }), (size) => change(view, { size }));
  document.querySelector(".pager").replaceChildren(...pager);
  if (byId("filter").value !== state.filter) byId("filter").value = state.filter;
  showChoices(byId("choices"), state.filter);
  for (const box of byId("columns").querySelectorAll("input")) box.checked = state.columns.has(box.value);
  showTheme(state.theme);
}

function startTable(data) {
  const columns = decoded(data.columns);
  const rows = Array.from({ length: data.rows }, (_, row) => row); // all of them, until there is a valid filter
  const view = { data, columns, rows, state: stateOf(location.hash, columns) };
  const choose = (name, value) => change(view, { filter: withChoice(view.state.filter, name, value) });
  byId("choices").hidden = !fillChoices(byId("choices").lastElementChild, columns, data.rows, choose);
  fillColumns(byId("columns").lastElementChild, columns, (names) => change(view, { columns: new Set(names), page: view.state.page }));
  listenToControls(view);
  listenToTable(view);
  addEventListener("hashchange", () => {
    if (!location.hash.includes("=")) return; // a link to a section of the page
    const { theme } = view.state;
    view.state = stateOf(location.hash, columns);
    view.state.theme ??= theme;
    keepAddress(view);
    show(view);
    byId("points").scrollIntoView();
  });
  byId("table").hidden = false;
  show(view);
}

function listenToControls(view) {
  byId("filter").addEventListener("input", (event) => change(view, { filter: event.target.value }));
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("reset").addEventListener("click", (event) => {
    event.preventDefault();
    const { theme } = view.state;
    change(view, stateOf(theme ? `#theme=${theme}` : "", view.columns));
  });
  byId("save").addEventListener("click", () => save(`${view.data.name}.csv`, csvOf(view.columns, view.rows)));
  byId("theme").addEventListener("click", () => {
    const { theme, page } = view.state;
    change(view, { theme: { null: "dark", dark: "light", light: null }[theme], page });
  });
}

function listenToTable(view) {
  document.querySelector("#table thead").addEventListener("click", (event) => {
    const name = event.target.closest("[data-sort]")?.dataset.sort;
    if (name === undefined) return;
    const { sort, descending } = view.state;
    const isSorted = sort === name;
    change(view, isSorted && descending ? { sort: null, descending: false } : { sort: name, descending: isSorted });
  });
  document.querySelector("#table tbody").addEventListener("click", (event) => {
    const row = event.target.closest("[data-row]")?.dataset.row;
    if (row !== undefined) showPoint(byId("point"), view.columns, Number(row));
  });
}

function showTheme(theme) {
  const button = document.getElementById("theme");
  button.hidden = false;
  button.lastElementChild.textContent = theme ?? "auto";
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

function startFigures(figures) {
  const tip = document.getElementById("tip");
  for (const [key, { name, csv, hover }] of Object.entries(figures)) {
    const figure = document.getElementById(key);
    const button = figure.querySelector("button.numbers");
    button.hidden = false;
    button.addEventListener("click", () => save(`${name}.csv`, csv));
    if (Object.keys(hover).length) watchFigure(figure.firstElementChild, hover, tip);
  }
}

function startCopying() {
  for (const button of document.querySelectorAll("button.copy")) {
    const text = button.previousElementSibling;
    button.hidden = false;
    button.addEventListener("click", async () => {
      getSelection().selectAllChildren(text);
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Selected";
      }
    });
  }
}

// Open all details before printing, and close them after.
function unfoldForPrint() {
  let unfolded = [];
  addEventListener("beforeprint", () => {
    unfolded = [...document.querySelectorAll("main details:not(.menu):not([open])")];
    for (const details of unfolded) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of unfolded) details.open = false;
  });
}

// Close a menu on Escape, or on a click outside it.
function closeMenus() {
  const close = (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      const isKey = event.type === "keydown";
      if (isKey ? event.key === "Escape" : !menu.contains(event.target)) {
        menu.open = false;
        if (isKey && menu.contains(document.activeElement)) menu.firstElementChild.focus();
      }
    }
  };
  addEventListener("pointerdown", close);
  addEventListener("keydown", close);
}

const DATA = JSON.parse(document.getElementById("data").textContent);
startTable(DATA);
startFigures(DATA.figures);
startCopying();
unfoldForPrint();
closeMenus();
