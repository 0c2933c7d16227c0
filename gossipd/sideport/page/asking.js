// Asking the node. Whatever is asked again and again waits for 20 times as long as its answer took,
// 10 s at most, so that an open page costs a node little; a hidden page asks nothing.

const PATIENCE = 4000;
const SHARE = 20;
const WAIT_MAX = 10000;

const link = {
  answeredAt: null, // on the clock of performance.now()
  silent: false,
  offset: 0, // what the node's clock is ahead of this one, ms
};

const nodeTime = () => Date.now() + link.offset;

class Refusal extends Error {}

async function ask(path, patience = PATIENCE) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(patience) });
    const read = await answer.json();
    heard(answer);
    if (answer.ok) return read;
    throw new Refusal(read.detail ?? `${path}: ${answer.status}`);
  } catch (error) {
    if (!(error instanceof Refusal)) link.silent = true;
    throw error;
  }
}

function heard(answer) {
  const wasSilent = link.silent;
  link.answeredAt = performance.now();
  link.silent = false;
  if (wasSilent) repeated.forEach((run) => run());
  const ahead = Date.parse(answer.headers.get("date")) + 500 - Date.now();
  link.offset = Math.abs(ahead) > 2000 ? ahead : 0; // Date tells whole seconds
}

const repeated = [];

// Run `task` now and again, `interval()` ms after its end; `soon()` is before that.
function repeat(task, interval) {
  let timer = 0;
  let running = false;
  async function run() {
    clearTimeout(timer);
    if (running || document.hidden) return;
    running = true;
    const began = performance.now();
    try {
      await task();
    } catch (error) {
      if (!(error instanceof Refusal) && !link.silent) throw error;
    } finally {
      running = false;
      const cost = link.silent ? 0 : SHARE * (performance.now() - began);
      timer = setTimeout(run, Math.max(interval(), Math.min(cost, WAIT_MAX)));
    }
  }
  repeated.push(run);
  return { soon: run };
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) repeated.forEach((run) => run());
});
