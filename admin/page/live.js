// Asking the server again and again, one question after the other.
const live = { on: true, gone: null, jobs: [], clock: 0 };

// poll asks for a path each so many seconds and shows the answer.
function poll(seconds, path, show) {
  live.jobs.push({ every: seconds * 1000, path, show, due: 0 });
}

// again makes all questions due, after a change.
function again() {
  for (const job of live.jobs) job.due = 0;
}

async function get(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(10000) });
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  return answer.json();
}

function lost(why) {
  if (live.gone) return;
  live.gone = new Date();
  const reason = why instanceof TypeError || why.name === "TimeoutError" ? "no answer" : why.message;
  write($("gone"), `pgrecall cannot be reached since ${clock.format(live.gone)} (${reason}). The figures are those of before; trying again.`);
  $("gone").hidden = false;
}

function reached() {
  if (!live.gone) return;
  live.gone = null;
  $("gone").hidden = true;
  announce("pgrecall answers again.");
  again();
}

async function round() {
  if (!live.on || document.hidden) return;
  for (const job of live.jobs) {
    if (!live.on) return; // stopped meanwhile
    if (job.due > performance.now()) continue;
    const asked = performance.now();
    let answer;
    try {
      answer = await get(typeof job.path === "function" ? job.path() : job.path);
    } catch (why) {
      lost(why);
      return;
    }
    reached();
    if (!live.on) return;
    job.show(answer);
    job.due = performance.now() + Math.max(job.every, 20 * (performance.now() - asked)); // what is slow is asked for less often
  }
}

// watch never ends. A defect in showing one thing does not keep the others from being shown.
function watch() {
  round().catch((why) => console.error(why)).finally(() => setTimeout(watch, live.gone ? 2000 : 400));
}

function toggleLive() {
  live.on = !live.on;
  $("live").setAttribute("aria-pressed", String(!live.on));
  again();
}

// announce tells readers of a screen. show makes it a message that stays until it is dismissed.
function announce(text) {
  write($("announced"), "");
  requestAnimationFrame(() => write($("announced"), text));
}

function show(text, bad = false) {
  write($("said-text"), text);
  $("said").classList.toggle("bad", bad);
  $("said").hidden = false;
  announce(text);
}
