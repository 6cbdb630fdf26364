// The long lists: tables, statements, what is not cached, connections.

// statement shows a statement's text, folded where it is long.
function statement(s) {
  const text = s.query || s.fingerprint, most = 180;
  if (text.length <= most) return make("code", {}, text);
  return make("details", {}, make("summary", {}, make("code", {}, text.slice(0, most) + "…")), make("pre", {}, text));
}

const shapeKey = (s) => s.database + "/" + s.fingerprint;
const readsOf = (c) => c.hits + c.shared_hits + c.misses + c.bypasses;

// reasons are why statements are not cached, by shape, the costliest first.
let reasons = new Map();

// Hit rates and times saved tell of shadow mode, too, in which nothing is answered from the cache.
const hitRate = (c) => (readsOf(c) ? c.hit_rate : -1);
function drawHitRate(td, c, fresh) {
  if (fresh) td.append(make("span"), make("span", { class: "dim" }));
  write(td.firstChild, readsOf(c) ? percent(c.hit_rate) : "–");
  write(td.lastChild, c.would_hits ? "would be " + percent((c.hits + c.shared_hits + c.would_hits) / readsOf(c)) : "");
}
function drawSaved(td, c, fresh) {
  if (fresh) td.append(make("span"), make("span", { class: "dim" }));
  write(td.firstChild, took(c.seconds_saved));
  write(td.lastChild, c.would_seconds_saved ? "would be " + took(c.seconds_saved + c.would_seconds_saved) : "");
}

let uncachedList = () => {};
let tableList = () => {};
let statementList = () => {};
let connectionList = () => {};

// flushButton asks for a flush of one thing.
function flushButton(td, fields, name) {
  const button = make("button", { type: "button", "aria-label": "Flush " + name }, "Flush…");
  button.addEventListener("click", () => flush(fields, name));
  td.append(button);
}

// pays says in a word whether caching is worth it.
function pays(w) {
  if (!w) return "not known";
  return w.pays ? "pays" : "loses";
}

function tableName(t) {
  if (t.name === "*") return t.database ? "everything in the database" : "everything in all databases";
  return t.name || "all other tables";
}

function prepareLists() {
  uncachedList = list("uncached-list", {
    name: "uncached reads", empty: "none yet", sorted: "Total",
    key: (u) => shapeKey(u) + "/" + u.reason, words: (u) => [u.query, u.fingerprint, u.database, u.reason, u.detail].join(" "),
    columns: [
      { title: "Statement", class: "name", draw(td, u, fresh) {
        if (!fresh) return;
        const why = make("span", { class: "why" }, make("b", {}, u.reason), (u.detail ? ` (${u.detail})` : "") + ": " + u.meaning + " ", make("i", {}, u.change));
        td.append(statement(u), make("span", { class: "dim" }, u.database), why);
      } },
      { title: "Total", class: "n", by: (u) => u.seconds, text: (u) => took(u.seconds) },
      { title: "Count", class: "n", by: (u) => u.count, text: (u) => count(u.count) },
      { title: "Longest", class: "n", by: (u) => u.max_seconds, text: (u) => took(u.max_seconds) },
    ],
  });
  tableList = list("table-list", {
    name: "tables", empty: "none yet: no database is in use", sorted: "Reads",
    key: (t) => t.database + "/" + t.name, words: (t) => [t.database, tableName(t), t.rule, ...(t.partly ?? [])].join(" "),
    columns: [
      { title: "Table", class: "name", by: tableName, upwards: true, draw(td, t, fresh) {
        if (fresh) td.append(make("code", {}, tableName(t)), make("span", { class: "dim" }, t.database));
      } },
      { title: "Rule", by: (t) => t.rule, upwards: true, draw(td, t, fresh) {
        if (fresh) td.append(make("span"), make("span", { class: "dim" }));
        write(td.firstChild, t.known ? t.rule || "defaults" : "");
        write(td.lastChild, (t.partly ?? []).length ? "for some: " + t.partly.join(", ") : "");
      } },
      { title: "TTL", class: "n", by: (t) => (t.cached ? t.ttl_seconds : -1), text: (t) => (!t.known ? "" : t.cached ? lifetime(t.ttl_seconds) : "never") },
      { title: "Consistency", by: (t) => t.consistency, upwards: true, text: (t) => (t.cached ? t.consistency : "") },
      { title: "Hit rate", class: "n", by: hitRate, draw: drawHitRate },
      { title: "Reads", class: "n", by: readsOf, text: (t) => count(readsOf(t)) },
      { title: "Writes", class: "n", by: (t) => t.writes, text: (t) => count(t.writes) },
      { title: "Saved", class: "n", by: (c) => c.seconds_saved, draw: drawSaved },
      { title: "Invalidations", class: "n", by: (t) => sum(t.invalidations), draw(td, t, fresh) {
        if (fresh) td.append(make("span"), make("span", { class: "dim" }));
        write(td.firstChild, t.invalidations ? count(sum(t.invalidations)) : "–");
        write(td.lastChild, counters(t.invalidations));
      } },
      { title: "Flush", hidden: true, draw(td, t, fresh) {
        if (fresh && t.known) flushButton(td, { table: t.name, database: t.database }, `the table ${t.name} of ${t.database}`);
      } },
    ],
  });
  statementList = list("statement-list", {
    name: "statements", empty: "none yet", sorted: "Took",
    key: shapeKey, words: (s) => [s.query, s.fingerprint, s.database, s.rule, ...s.tables, reasons.get(shapeKey(s))?.reason].join(" "),
    columns: [
      { title: "Statement", class: "name", draw(td, s, fresh) {
        if (fresh) td.append(statement(s), make("span", { class: "why" }), make("span", { class: "dim" }));
        const why = reasons.get(shapeKey(s));
        write(td.children[1], why ? `not cached${readsOf(s) > s.bypasses ? " at times" : ""}: ${why.reason}` + (why.detail ? ` (${why.detail})` : "") : "");
        write(td.children[2], [s.database, s.tables.join(", "), s.rule && "rule " + s.rule].filter(Boolean).join(" · "));
      } },
      { title: "Hit rate", class: "n", by: hitRate, draw: drawHitRate },
      { title: "Count", class: "n", by: (s) => readsOf(s) + s.writes, text: (s) => count(readsOf(s) + s.writes) },
      { title: "Took", class: "n", by: (s) => s.seconds, text: (s) => took(s.seconds) },
      { title: "Saved", class: "n", by: (c) => c.seconds_saved, draw: drawSaved },
      { title: "Caching", by: (s) => (s.worth ? s.worth.hit_rate - s.worth.break_even : -9), draw(td, s, fresh) {
        if (fresh) td.append(make("span"), make("span", { class: "dim" }));
        const w = s.worth;
        write(td.firstChild, pays(w));
        td.firstChild.className = w && !w.pays ? "bad" : "";
        write(td.lastChild, w ? `from ${percent(w.break_even)} on; ${took(w.origin)} direct, ${took(w.miss)} miss, ${took(w.hit)} hit` : "too little was measured");
      } },
      { title: "Flush", hidden: true, draw(td, s, fresh) {
        if (fresh && !/^0*$/.test(s.fingerprint)) flushButton(td, { fingerprint: s.fingerprint, database: s.database }, "what is cached of " + (s.query || s.fingerprint).slice(0, 80));
      } },
    ],
  });
  connectionList = list("connection-list", {
    name: "connections", empty: "no client is connected", sorted: "Connected",
    key: (c) => c.address + c.connected, words: (c) => [c.state, c.role, c.database, c.address, c.pid].join(" "),
    columns: [
      { title: "Role", by: (c) => c.role, upwards: true, text: (c) => c.role },
      { title: "Database", by: (c) => c.database, upwards: true, text: (c) => c.database },
      { title: "State", by: (c) => c.state, upwards: true, text: (c) => c.state },
      { title: "Address", by: (c) => c.address, upwards: true, text: (c) => c.address + (c.encrypted ? " (TLS)" : "") },
      { title: "Process", class: "n", by: (c) => c.pid, text: (c) => c.pid || "–" },
      { title: "Connected", class: "n", by: (c) => Date.now() - Date.parse(c.connected), text: (c) => lasting((Date.now() - Date.parse(c.connected)) / 1000) },
    ],
  });
}

// takeReasons keeps the costliest reason of each shape.
function takeReasons(uncached) {
  reasons = new Map();
  for (const u of uncached) {
    if (!reasons.has(shapeKey(u))) reasons.set(shapeKey(u), u);
  }
}
