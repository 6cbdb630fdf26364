// The curves of the last half hour, drawn anew at each answer.
const past = { points: [], interval: 5, length: 360, charts: [] };

function svg(tag, attributes = {}, ...children) {
  const e = document.createElementNS($("svg").namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

const cachedReads = (p) => p.hits + p.shared_hits;
const reads = (p) => cachedReads(p) + p.misses + p.bypasses;

const percentScale = {
  ticks: () => [0, 0.5, 1],
  place: (v) => v,
  label: (v) => 100 * v + "%",
};
// A logarithmic scale from one power of ten to another.
const timeScale = {
  ticks(values) {
    const low = Math.floor(Math.log10(Math.min(...values, 1e-4))), high = Math.ceil(Math.log10(Math.max(...values, 1e-3)));
    return Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  },
  place: (v, ticks) => Math.log10(v / ticks[0]) / Math.log10(ticks.at(-1) / ticks[0]),
  label: (v) => (v < 0.0009 ? Math.round(v * 1e6) + " µs" : v < 0.9 ? Math.round(v * 1e3) + " ms" : Math.round(v) + " s"),
};
const rateScale = {
  ticks(values) {
    const most = Math.max(...values, 1), power = 10 ** Math.floor(Math.log10(most));
    const top = power * [1, 2, 5, 10].find((n) => n * power >= most);
    return [0, top / 2, top];
  },
  place: (v, ticks) => v / ticks.at(-1),
  label: (v) => count(v),
};

const charts = [
  { title: "Hit rate", scale: percentScale, text: percent, series: [
    { name: "of reads", class: "cached", of: (p) => (reads(p) > 0 ? cachedReads(p) / reads(p) : null) },
  ] },
  { title: "Time for an answer", scale: timeScale, text: took, note: "median; dotted: 99th percentile", series: [
    { name: "from the cache, 99th percentile", class: "cached thin", of: (p) => p.cached_p99, quiet: true },
    { name: "from PostgreSQL, 99th percentile", class: "forwarded thin", of: (p) => p.forwarded_p99, quiet: true },
    { name: "from the cache", class: "cached", of: (p) => p.cached_median },
    { name: "from PostgreSQL", class: "forwarded dashed", of: (p) => p.forwarded_median },
  ] },
  { title: "Statements", scale: rateScale, text: per, series: [
    { name: "from the cache", class: "cached", of: (p) => cachedReads(p) / p.seconds },
    { name: "from PostgreSQL", class: "forwarded dashed", of: (p) => (p.misses + p.bypasses) / p.seconds },
    { name: "writes", class: "written dashed", of: (p) => p.writes / p.seconds },
  ] },
];

function prepareCurves() {
  for (const chart of charts) {
    const box = svg("svg", { role: "img", "aria-label": chart.title });
    const legend = make("ul", { class: "legend" });
    const figure = make("figure", {}, make("h3", {}, chart.title), box, legend);
    const values = chart.series.map((s) => {
      const value = make("span");
      if (!s.quiet) {
        legend.append(make("li", {}, svg("svg", { viewBox: "0 0 28 8", "aria-hidden": "true" }, svg("path", { class: s.class, d: "M1,4H27" })), s.name + " ", value));
      }
      return value;
    });
    if (chart.note) legend.append(make("li", { class: "dim" }, chart.note));
    const drawn = { ...chart, box, values, at: null };
    box.addEventListener("pointermove", (event) => read(drawn, event.clientX - box.getBoundingClientRect().left));
    box.addEventListener("pointerleave", () => read(drawn, null));
    new ResizeObserver(() => draw(drawn)).observe(box);
    past.charts.push(drawn);
    $("curves").append(figure);
  }
  const table = make("table", {}, make("caption", { class: "unseen" }, "The figures of the curves, minute by minute"), make("thead", {}, make("tr", {},
    ...["Until", "Hit rate", "From the cache", "From PostgreSQL", "Statements"].map((t, i) => make("th", { scope: "col", class: i ? "n" : undefined }, t)))), make("tbody"));
  table.id = "minute-list";
  const details = make("details", { id: "curve-table" }, make("summary", {}, "The curves as a table"), make("div", { class: "scroll" }, table));
  details.addEventListener("toggle", showMinutes);
  $("curves").append(details);
}

// takePoints appends what is new.
function takePoints(answer) {
  past.interval = answer.interval_seconds;
  past.length = answer.length;
  for (const p of answer.points) {
    const time = Date.parse(p.at);
    if (!(time <= past.points.at(-1)?.time)) past.points.push({ ...p, time });
  }
  past.points.splice(0, Math.max(0, past.points.length - past.length));
  past.charts.forEach(draw);
  showMinutes();
}

const historyPath = () => "/api/history" + (past.points.length ? "?since=" + encodeURIComponent(past.points.at(-1).at) : "");

// read shows the values at a place of the curve, or the last ones.
function read(chart, x) {
  chart.at = null;
  if (x !== null && chart.x) {
    const near = (p) => Math.abs(chart.x(p.time) - x);
    past.points.forEach((p, i) => {
      if (chart.at === null || near(p) < near(past.points[chart.at])) chart.at = i;
    });
  }
  draw(chart);
}

function draw(chart) {
  const { box, scale, series } = chart;
  const width = box.clientWidth, height = box.clientHeight;
  if (width === 0) return;
  const left = 48, right = 6, top = 8, bottom = 20;
  box.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const { points } = past;
  const end = points.at(-1)?.time ?? Date.now();
  const begin = Math.min(points[0]?.time ?? end, end - 120000);
  const x = (chart.x = (t) => left + ((t - begin) / (end - begin)) * (width - left - right));
  const all = series.flatMap((s) => points.map(s.of)).filter((v) => v !== null);
  const ticks = scale.ticks(all);
  const y = (v) => height - bottom - Math.min(1, Math.max(0, scale.place(v, ticks))) * (height - top - bottom);
  const parts = [];
  for (const tick of ticks) {
    parts.push(svg("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }));
    parts.push(svg("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, scale.label(tick)));
  }
  parts.push(svg("text", { x: left, y: height - 4 }, clock.format(begin)), svg("text", { x: width - right, y: height - 4, "text-anchor": "end" }, clock.format(end)));
  for (const s of series) {
    let path = "", before = null;
    for (const p of points) {
      const v = s.of(p);
      if (v !== null) {
        const joined = before && p.time - before.time < 2500 * past.interval && s.of(before) !== null;
        path += `${joined ? "L" : "M"}${x(p.time).toFixed(1)},${y(v).toFixed(1)}${joined ? "" : "h.01"}`;
      }
      before = p;
    }
    if (path) parts.push(svg("path", { class: s.class, d: path }));
  }
  const shown = points[chart.at] ?? points.at(-1);
  if (chart.at !== null && shown) {
    parts.push(svg("line", { class: "at", x1: x(shown.time), x2: x(shown.time), y1: top, y2: height - bottom }));
    parts.push(svg("text", { x: Math.min(Math.max(x(shown.time), left + 26), width - 30), y: height - 4, "text-anchor": "middle" }, clock.format(shown.time)));
    parts.splice(parts.findIndex((e) => e.tagName === "text" && e.getAttribute("x") === String(left)), 2);
  }
  box.replaceChildren(...parts);
  series.forEach((s, i) => write(chart.values[i], shown ? chart.text(s.of(shown)) : "–"));
  box.setAttribute("aria-label", inWords(chart, begin, end));
}

// inWords is a curve's text.
function inWords(chart, begin, end) {
  if (past.points.length === 0) return `${chart.title}: nothing was measured yet`;
  const told = chart.series.map((s) => {
    const values = past.points.map(s.of).filter((v) => v !== null);
    if (values.length === 0) return `${s.name}: none`;
    return `${s.name}: last ${chart.text(values.at(-1))}, lowest ${chart.text(Math.min(...values))}, highest ${chart.text(Math.max(...values))}`;
  });
  return `${chart.title} from ${clock.format(begin)} to ${clock.format(end)}. ${told.join("; ")}`;
}

// showMinutes adds the points of each minute up.
function showMinutes() {
  if (!$("curve-table").open) return;
  const minutes = new Map();
  for (const p of past.points) {
    const key = Math.floor(p.time / 60000);
    const m = minutes.get(key) ?? { key, hits: 0, reads: 0, all: 0, seconds: 0 };
    m.hits += cachedReads(p);
    m.reads += reads(p);
    m.all += reads(p) + p.writes + p.others;
    m.seconds += p.seconds;
    m.time = p.time;
    m.cached = p.cached_median ?? m.cached;
    m.forwarded = p.forwarded_median ?? m.forwarded;
    minutes.set(key, m);
  }
  const n = "n";
  short("minute-list", [
    { text: (m) => clock.format(m.time) },
    { class: n, text: (m) => percent(m.reads ? m.hits / m.reads : null) },
    { class: n, text: (m) => took(m.cached) },
    { class: n, text: (m) => took(m.forwarded) },
    { class: n, text: (m) => per(m.all / m.seconds) },
  ], [...minutes.values()].reverse(), (m) => m.key, "none yet");
}
