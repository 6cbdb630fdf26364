// What changes something. The token is kept in memory alone: it is asked for again when the page is loaded again.
let token = "";

// ask shows the dialog until it is answered: false for no.
function ask({ title, text, go, error = "", secret }) {
  write($("question-title"), title);
  write($("question-text"), text);
  write($("question-go"), go);
  write($("question-error"), error);
  $("question-token-field").hidden = !secret;
  $("question-token").required = secret;
  $("question-token").value = "";
  const dialog = $("question");
  dialog.showModal();
  (secret ? $("question-token") : $("question-cancel")).focus();
  return new Promise((resolve) => {
    const end = new AbortController();
    const done = (answer) => {
      end.abort();
      if (answer && secret) token = $("question-token").value;
      $("question-token").value = "";
      dialog.close();
      resolve(answer);
    };
    const on = { signal: end.signal };
    $("question-form").addEventListener("submit", (event) => { event.preventDefault(); done(true); }, on);
    $("question-cancel").addEventListener("click", () => done(false), on);
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); done(false); }, on);
  });
}

const secured = document.body.dataset.secured === "true";

// change sends what an operator wants, after asking where there is a question or no token yet. It returns the answer, null where the operator did not want it.
async function change(path, fields, question, timeout) {
  let error = "";
  for (;;) {
    const secret = secured && token === "";
    if ((question && !error) || secret) {
      const text = question?.text ?? "This pgrecall wants its admin token for that.";
      if (!(await ask({ title: question?.title ?? "Admin token", text, go: question?.go ?? "Go on", error, secret }))) return null;
    }
    const headers = { "Content-Type": "application/json" };
    if (token) headers.Authorization = "Bearer " + token;
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(fields), cache: "no-store", signal: AbortSignal.timeout(timeout) });
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) return told;
    if (answer.status !== 401) throw new Error(told.error ?? `${answer.status} ${answer.statusText}`);
    token = "";
    error = "The token was refused.";
    if (!secured) throw new Error("a token is needed: load the page again");
  }
}

// attempt tells what went wrong.
async function attempt(what, action) {
  try {
    await action();
  } catch (why) {
    show(`${what}: ${why instanceof TypeError ? "pgrecall does not answer" : why.message}`, true);
  }
  again();
}

const flush = (fields, name) => attempt("Not flushed", async () => {
  const done = await change("/api/flush", fields, { title: "Flush?", text: `This removes ${name} from the cache. PostgreSQL has to answer for it again.`, go: "Flush" }, 310000);
  if (!done) return;
  let text = `Flushed ${name}: ${count(done.removed)} ${done.removed === 1 ? "entry" : "entries"} removed`;
  if (done.l2_error) text += `; L2: ${done.l2_error}`;
  else if (done.l2_removed > 0 || done.l2_removed === 0) text += `, ${count(done.l2_removed)} in L2`;
  else if (done.l2_removed === -1) text += ", and those in L2";
  if (done.others) text += `; other pgrecalls: ${done.others}`;
  show(text + ".", done.others === "unreachable" || done.others === "unknown");
});

const allow = (doubt) => attempt("Not allowed", async () => {
  const question = { title: "Allow again?", text: `Statements ${doubt.fingerprint} of ${doubt.tables} will be cached again. Was the cause of the difference found?`, go: "Allow" };
  const done = await change("/api/allow", { fingerprint: doubt.fingerprint }, question, 40000);
  if (done) show(`${times(done.allowed, "shape")} allowed again.`);
});

const pause = () => attempt("Nothing has changed", async () => {
  const resume = now.paused;
  const question = resume
    ? { title: "Resume?", text: "Reads will be answered from the cache again.", go: "Resume" }
    : { title: "Pause?", text: "Every statement goes to PostgreSQL until the cache is resumed. PostgreSQL has to bear the load.", go: "Pause" };
  const done = await change(resume ? "/api/resume" : "/api/pause", {}, question, 10000);
  if (done) show(done.paused ? "The cache is paused." : "The cache is on again.");
});

const flushNames = { table: "Table", fingerprint: "Fingerprint", tenant: "Tenant" };

function prepareFlush() {
  const what = $("flush-what"), value = $("flush-value");
  const follow = () => {
    const name = flushNames[what.value];
    $("flush-value-field").hidden = !name;
    value.required = Boolean(name);
    write($("flush-value-label"), name ?? "");
  };
  what.addEventListener("change", follow);
  follow();
  $("flush-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const database = $("flush-database").value.trim();
    const fields = database ? { database } : {};
    if (what.value !== "all") fields[what.value] = value.value.trim();
    else if (!database) fields.all = "true";
    const name = what.value === "all" ? "everything" : `what belongs to the ${flushNames[what.value].toLowerCase()} ${value.value.trim()}`;
    flush(fields, name + (database ? ` of the database ${database}` : ""));
  });
}

// facts are the names of an explanation's fields, in order.
const explanations = [
  ["verdict", "Verdict"], ["reason", "Reason"], ["detail", "Detail"], ["meaning", "Meaning"], ["change", "To change it"], ["ttl", "TTL"],
  ["stale_while_revalidate", "Stale while it is asked for anew"], ["stale_if_error", "Stale in place of an error"], ["consistency", "Consistency"],
  ["max_result_bytes", "Largest result"], ["rule", "Rule"], ["relations", "Depends on"], ["settings", "Settings"], ["invalidated_by", "Made invalid by"],
  ["touches", "Makes invalid"], ["declare", "Declare"], ["database", "Database"], ["user", "Role"], ["schemas", "Schemas"], ["fingerprint", "Fingerprint"], ["notes", "Notes"],
];

function prepareExplain() {
  const form = $("explain-form"), button = form.querySelector("button");
  $("explain-sql").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.getAttribute("aria-disabled") === "true") return;
    const fields = {};
    for (const name of ["sql", "database", "user"]) {
      const value = $("explain-" + name).value.trim();
      if (value) fields[name] = value;
    }
    button.setAttribute("aria-disabled", "true");
    showFacts($("explained"), []);
    write($("explain-said"), "Asking…");
    try {
      const told = await change("/api/explain", fields, null, 30000);
      write($("explain-said"), told ? inShort(told) : "");
      if (told) showFacts($("explained"), explanations.flatMap(([name, title]) => factsOf(title, name === "max_result_bytes" && told[name] ? bytes(told[name]) : told[name])));
    } catch (why) {
      write($("explain-said"), "Not explained: " + (why instanceof TypeError ? "pgrecall does not answer" : why.message));
    }
    button.removeAttribute("aria-disabled");
  });
}

// factsOf is one fact, or none where there is nothing to tell.
const factsOf = (title, value) => (value === undefined || value === null || value === "" ? [] : [[title, value]]);

function inShort(e) {
  if (e.verdict === "cache") return `It is cached, for ${e.ttl} at most.`;
  return (e.verdict === "write" ? "It writes" : "It is not cached") + (e.reason && e.verdict !== "write" ? `: ${e.reason}.` : ".");
}
