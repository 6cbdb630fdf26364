// fill makes a body's rows those of the items. Rows of known keys stay, and with them focus, selection and what is unfolded.
function fill(body, items, key, build, update, empty) {
  const old = new Map();
  for (const row of [...body.rows]) {
    if (row.key === undefined) row.remove();
    else old.set(row.key, row);
  }
  const focused = body.contains(document.activeElement) ? document.activeElement : null;
  let at = body.firstElementChild;
  for (const item of items) {
    const k = key(item);
    let row = old.get(k);
    if (!row) {
      row = make("tr", { role: body.getAttribute("role") ? "row" : undefined });
      row.key = k;
      build(row, item);
    }
    old.delete(k);
    row.item = item;
    update(row, item);
    if (row === at) at = at.nextElementSibling;
    else body.insertBefore(row, at);
  }
  for (const row of old.values()) row.remove();
  if (items.length === 0) {
    const columns = body.closest("table").tHead.rows[0].cells.length, listed = body.hasAttribute("role");
    body.append(make("tr", { role: listed ? "row" : undefined }, make("td", { colspan: columns, class: "dim", role: listed ? "cell" : undefined }, empty)));
  }
  if (focused && focused.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
}

// cells builds and updates rows by columns: each has text(item), a text, or draw(td, item, fresh).
const cells = (columns) => ({
  build(row, item) {
    for (const c of columns) {
      const td = make("td", { class: c.class, role: c.title && "cell", "data-label": c.hidden ? undefined : c.title });
      row.append(td);
      if (c.draw) c.draw(td, item, true);
    }
  },
  update(row, item) {
    columns.forEach((c, i) => (c.draw ? c.draw(row.cells[i], item, false) : write(row.cells[i], c.text(item))));
  },
});

// short fills a small table that the page has already.
function short(id, columns, items, key, empty) {
  const { build, update } = cells(columns);
  fill($(id).tBodies[0], items, key, build, update, empty);
  const box = $(id).closest(".scroll");
  if (box) reachable(box);
}

// reachable lets the keyboard scroll a box whose table is wider than the screen.
function reachable(box) {
  if (box.scrollWidth <= box.clientWidth) {
    for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
  } else if (!box.hasAttribute("tabindex")) {
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", box.querySelector("caption").textContent);
  }
}

// How many rows a list shows at first, and how many more each time.
const pageful = 10, further = 25;

// list makes a table sortable and filtered; it returns what shows items. Columns have by(item) to be sorted, words(item) is what the filter looks in.
function list(id, { name, columns, key, words, sorted, empty }) {
  const table = $(id);
  const state = { items: [], all: 0, shown: pageful, by: sorted, down: true, filter: "" };
  const search = make("input", { type: "search", id: id + "-filter", autocomplete: "off", spellcheck: "false" });
  const told = make("span", { class: "told" });
  const more = make("button", { type: "button", class: "more" }, `Show ${further} more`);
  const tools = make("div", { class: "tools" }, make("div", {}, make("label", { for: search.id }, `Filter ${name}`), search), told);
  table.before(tools);
  const box = make("div", { class: "scroll" });
  table.replaceWith(box);
  box.append(table);
  box.after(more);
  const head = make("tr", { role: "row" });
  table.createTHead().replaceChildren(head);
  const body = table.tBodies[0] ?? table.createTBody();
  table.className = "list";
  table.setAttribute("role", "table");
  for (const group of [table.tHead, body]) group.setAttribute("role", "rowgroup");
  for (const c of columns) {
    const th = make("th", { scope: "col", role: "columnheader", class: c.class === "n" ? "n" : undefined });
    if (c.by) {
      const button = make("button", { type: "button" }, c.title);
      button.addEventListener("click", () => {
        state.down = state.by === c.title ? !state.down : !c.upwards;
        state.by = c.title;
        draw(true);
      });
      th.append(button);
    } else {
      th.append(c.hidden ? make("span", { class: "unseen" }, c.title) : c.title);
    }
    head.append(th);
  }
  const { build, update } = cells(columns);

  function ordered(forced) {
    const by = columns.find((c) => c.title === state.by).by, sign = state.down ? -1 : 1;
    const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
    const found = state.items.filter((item) => !state.filter || words(item).toLowerCase().includes(state.filter));
    found.sort((a, b) => sign * compare(by(a), by(b)));
    // Rows stay where they are below somebody's pointer or focus.
    if (forced || !body.matches(":hover, :focus-within")) return { found, shown: found.slice(0, state.shown) };
    const rest = new Map(found.map((item) => [key(item), item])), shown = [];
    for (const row of body.rows) {
      if (rest.has(row.key)) shown.push(rest.get(row.key));
      rest.delete(row.key);
    }
    return { found, shown: [...shown, ...rest.values()].slice(0, state.shown) };
  }

  function draw(forced) {
    const { found, shown } = ordered(forced);
    columns.forEach((c, i) => {
      if (!c.by) return;
      if (c.title === state.by) head.cells[i].setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else head.cells[i].removeAttribute("aria-sort");
    });
    fill(body, shown, key, build, update, state.items.length === 0 ? empty : "none fits the filter");
    const of = state.filter ? ` that fit, of ${count(state.items.length)}` : state.all > state.items.length ? ` of ${count(state.all)}` : "";
    write(told, shown.length < found.length ? `${shown.length} of ${count(found.length)}${of}` : `${count(found.length)}${of}`);
    more.hidden = shown.length === found.length;
    tools.hidden = state.items.length <= pageful && state.filter === "";
    reachable(box);
  }
  search.addEventListener("input", () => {
    state.filter = search.value.trim().toLowerCase();
    state.shown = pageful;
    draw(true);
    announce(told.textContent);
  });
  more.addEventListener("click", () => {
    state.shown += further;
    const first = body.rows.length;
    draw(true);
    const next = body.rows[first]?.querySelector("button, summary");
    if (more.hidden && next) next.focus();
  });
  return (items, all = items.length) => {
    state.items = items;
    state.all = all;
    draw(false);
  };
}
