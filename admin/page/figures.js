// What /api/status tells.
const modes = {
  shadow: "Shadow mode: every statement goes to PostgreSQL, the cache works alongside and is compared.",
  off: "The cache is off: everything goes to PostgreSQL.",
  paused: "The cache is paused: nothing is served from it and nothing enters it.",
};

const meanings = {
  hit_l1: "from memory", hit_l2: "from the second tier", miss: "asked PostgreSQL, then kept", bypass: "reads that were not cached", write: "", other: "neither reads nor writes",
  in_band: "writes through this pgrecall", replication: "writes seen in replication", bus: "writes through other pgrecalls", ddl: "changes of definitions", admin: "flushes",
  same: "", different: "", inconclusive: "changed meanwhile",
};

const now = { paused: false, started: "" };

// shares fills a table of counters with what part of all each is.
function shares(id, all, empty) {
  const total = sum(all);
  const items = Object.entries(all ?? {}).filter(([, n]) => n > 0).map(([name, n]) => ({ name, n })).sort((a, b) => b.n - a.n || a.name.localeCompare(b.name));
  short(id, [
    { draw(td, item, fresh) {
      if (!fresh) return;
      td.append(item.name);
      if (meanings[item.name]) td.append(make("span", { class: "dim" }, meanings[item.name]));
    } },
    { class: "n", text: (item) => count(item.n) },
    { class: "n", draw(td, item, fresh) {
      if (fresh) td.append(make("span"), make("progress", { max: "1", "aria-hidden": "true" }));
      write(td.firstChild, percent(item.n / total));
      td.lastChild.value = item.n / total;
    } },
  ], items, (item) => item.name, empty);
}

function showStatus(s) {
  now.paused = s.cache === "paused";
  write($("cache"), s.cache);
  $("cache").className = "state " + s.cache;
  write($("version"), s.version);
  write($("where"), `${s.listen.join(", ")} in front of ${s.upstream}`);
  write($("uptime"), lasting(s.uptime_seconds));
  write($("unready-why"), "Not ready: " + (s.not_ready ?? ""));
  $("unready").hidden = s.ready;
  write($("mode"), modes[s.cache] ?? "");
  $("mode").hidden = s.cache === "on";
  const hits = (s.statements.hit_l1 ?? 0) + (s.statements.hit_l2 ?? 0);
  write($("hit-rate"), percent(s.hit_rate));
  write($("hits"), count(hits));
  write($("saved"), took(s.upstream_seconds_saved));
  write($("clients"), count(s.client_connections));
  document.title = `${percent(s.hit_rate)} · pgrecall`;
  write($("pause"), now.paused ? "Resume the cache…" : "Pause the cache…");
  shares("outcome-list", s.statements, "none yet");
  shares("invalidation-list", s.invalidations, "none yet");
  shares("verified-list", s.verifications, "none yet: turn on verify, or shadow mode");
  shares("reason-list", s.bypasses, "none yet");
  showTiers(s);
  showDoubts(s);
  showStopped(s.stopped ?? []);
  uncachedList(s.uncached);
}

function showTiers(s) {
  const n = "n";
  short("tier-list", [
    { text: (t) => t.name },
    { class: n, text: (t) => count(t.entries) },
    { class: n, draw(td, t, fresh) {
      if (fresh) td.append(make("span"), make("progress", { max: "1", "aria-hidden": "true" }));
      write(td.firstChild, bytes(t.bytes));
      td.lastChild.value = t.limit_bytes > 0 ? t.bytes / t.limit_bytes : 0;
    } },
    { class: n, text: (t) => bytes(t.limit_bytes) },
  ], s.tiers, (t) => t.name, "none");
  const facts = s.tiers.filter((t) => sum(t.evictions) > 0).map((t) => ["Evictions of " + t.name, counters(t.evictions)]);
  if (s.l2) {
    const l2 = s.l2, lookups = l2.hits + l2.misses + l2.stale;
    facts.push(["L2", (l2.up ? "up" : "down: it is left alone until it answers" + (l2.last_error ? ` (${l2.last_error})` : "")), !l2.up]);
    facts.push(["L2 lookups", `${times(l2.hits, "hit")} of ${count(lookups)}, ${count(l2.stale)} not provably new enough, ${count(l2.refused)} refused`]);
    facts.push(["L2 breaker", `opened ${times(l2.opened, "time")}; ${times(l2.errors, "error")}, ${times(l2.hangs, "hang")}`]);
    facts.push(["L2 writes", `${bytes(l2.queued_bytes)} wait, ${count(l2.dropped)} dropped`]);
  }
  if (s.fleet) {
    const f = s.fleet;
    facts.push(["Fleet", times(f.members, "member") + (f.member ? "" : "; this pgrecall is not in it"), !f.member]);
    facts.push(["Fleet state", f.live ? "in step: it is certain what the others do" : "not certain what the others do: strict reads go to PostgreSQL", !f.live]);
    facts.push(["Fleet log", `${times(f.lag_events, "event")} behind, ${count(f.queued_events)} queued, ${times(f.fences, "write")} of others under way`]);
    if (f.outside) facts.push(["Outside the fleet", times(f.outside, "process").replace("processs", "processes"), true]);
  }
  showFacts($("shared"), facts);
}

// showFacts fills a list of names with one text or several each; what is bad has its colour.
function showFacts(dl, facts) {
  const text = JSON.stringify(facts);
  if (dl.shown === text) return;
  dl.shown = text;
  dl.replaceChildren(...facts.flatMap(([name, value, bad]) =>
    [make("dt", {}, name), ...[].concat(value).map((v) => make("dd", { class: bad ? "bad" : undefined }, v))]));
}

function showDoubts(s) {
  const different = s.verifications?.different ?? 0;
  write($("different-count"), "Comparisons with PostgreSQL that found a difference: " + count(different));
  $("different").hidden = different === 0;
  $("doubts").hidden = s.doubts.length === 0;
  const head = $("doubt-list").tHead.rows[0];
  if (head.cells.length === 3) head.append(make("th", { scope: "col", role: "columnheader" }, make("span", { class: "unseen" }, "Allow")));
  short("doubt-list", [
    { title: "Fingerprint", class: "name", draw: (td, d, fresh) => fresh && td.append(make("code", {}, d.fingerprint)) },
    { title: "Tables", text: (d) => d.tables },
    { title: "Since", text: (d) => moment.format(Date.parse(d.since)) },
    { title: "Allow", hidden: true, draw(td, d, fresh) {
      if (!fresh) return;
      const button = make("button", { type: "button", "aria-label": `Allow ${d.fingerprint} again` }, "Allow…");
      button.addEventListener("click", () => allow(d));
      td.append(button);
    } },
  ], s.doubts, (d) => d.fingerprint, "");
}

function showStopped(list) {
  $("stopped").hidden = list.length === 0;
  short("stopped-list", [
    { title: "Statement", class: "name", draw: (td, s, fresh) => fresh && td.append(statement(s)) },
    { title: "Hit rate", class: "n", text: (s) => percent(s.worth.hit_rate) },
    { title: "Pays from", class: "n", text: (s) => percent(s.worth.break_even) },
    { title: "Until", class: "tight", text: (s) => moment.format(Date.parse(s.until)) },
  ], list, (s) => s.database + "/" + s.fingerprint, "");
}
