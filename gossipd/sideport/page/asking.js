// Asking the node. Whatever is asked again and again waits for 10 times as long as its answer took,
// 5 s at most, so that an open page costs a node little; a hidden page asks nothing.

// Paths are relative: a proxy may have the node below a path of its own. The address of the page may
// have a name and a password in it, with which nothing can be fetched.
const located = (path) => new URL(path, location.origin + location.pathname);

const PATIENCE = 4000;
const SHARE = 10;
const WAIT_MAX = 5000;

const SLOW = 1000; // ms after which an answer may be too old to show what the node's clock says now
const JUMP = 2000; // ms by which Date.now() is ahead after a sleep, at least

let slept = 0;
let seen = { ticks: performance.now(), date: Date.now() };

// Milliseconds that pass. Where the computer sleeps, performance.now() of some browsers stands still,
// and the time of day goes on.
function ticks() {
  const now = { ticks: performance.now(), date: Date.now() };
  const more = now.date - seen.date - (now.ticks - seen.ticks);
  if (more > JUMP) slept += more;
  seen = now;
  return now.ticks + slept;
}

const link = {
  answeredAt: null, // in ticks()
  silent: false,
  offset: 0, // what the node's clock is ahead of this one, ms
};

const nodeTime = () => Date.now() + link.offset;

class Refusal extends Error {}

async function ask(path, patience = PATIENCE) {
  const began = ticks();
  try {
    const answer = await fetch(located(path), {
      cache: "no-store",
      headers: { accept: "application/json" },
      signal: AbortSignal.timeout(patience),
    });
    const read = await answer.json();
    heard(answer, ticks() - began);
    if (answer.ok) return read;
    const remedy = answer.status === 401 ? "; load this page again to show another token" : "";
    throw new Refusal(`${read.detail ?? `${path}: ${answer.status}`}${remedy}`);
  } catch (error) {
    if (error.name === "TimeoutError" && nodeEvents.giveUp()) {
      const read = await ask(path, patience);
      nodeEvents.leaveToOthers();
      return read;
    }
    if (!(error instanceof Refusal)) link.silent = true;
    throw error;
  }
}

function heard(answer, took) {
  const wasSilent = link.silent;
  link.answeredAt = ticks();
  link.silent = false;
  if (wasSilent) repeated.forEach((soon) => soon());
  if (took > SLOW) return;
  const ahead = Date.parse(answer.headers.get("date")) + 500 - Date.now();
  link.offset = Math.abs(ahead) > 2000 ? ahead : 0; // Date tells whole seconds
}

const repeated = [];

// Run `task` now and again, `interval()` ms after its end; `soon()`: as soon as that may be.
function repeat(task, interval) {
  let timer = 0;
  let running = false;
  let again = false;
  let free = 0; // from when on it may run again

  async function run() {
    if (document.hidden) return;
    running = true;
    again = false;
    const wasSilent = link.silent; // then much of the time is not what the answer cost
    const began = ticks();
    try {
      await task();
    } catch (error) {
      if (!(error instanceof Refusal) && !link.silent) throw error;
    } finally {
      running = false;
      const ended = ticks();
      const cost = wasSilent || link.silent ? 0 : SHARE * (ended - began);
      free = ended + Math.min(cost, WAIT_MAX);
      runIn(again ? 0 : interval());
    }
  }

  function runIn(wait) {
    clearTimeout(timer);
    timer = setTimeout(run, Math.max(wait, free - ticks()));
  }

  function soon() {
    if (running) again = true;
    else runIn(0);
  }

  repeated.push(soon);
  return { soon };
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) repeated.forEach((soon) => soon());
});
