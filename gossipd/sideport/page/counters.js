// The counters: only those that are shown are asked for and followed, however many there are.

const LOG_LIMIT = 300;
const SAMPLES = 60;
const LONG = 14; // characters of a count that need not have one line
const SAMPLE_MIN = 0.5; // seconds
const RATE_OVER = 5; // samples that the rate in digits is the mean of
const PLOT_SECONDS = 120;
const COUNTERS_STEP = 50;
const ASK_AGAIN = 10000;
const BUSY = 1000; // changes a second beyond which the counters are asked for and not followed
const FOLLOWED_MAX = 256; // of them at a time
const PATH_MAX = 8000; // the same for characters of all their names

const counters = {
  order: "name",
  prefix: "",
  limit: COUNTERS_STEP,
  names: [], // that are shown, in their order
  more: false,
  by: new Map(), // of those: { count, heardAt, last, samples }
  followed: "", // of the path of events
  refusal: "",
  askedAt: -Infinity,
  count: null, // how many the node had when it was asked
  rows: new Map(),
  sampled: null, // { at, changes }
  rates: [], // changes a second of the node, about one a second; null where nobody knows
};

const counterTakes = {
  counts(counts) {
    for (const [name, count] of Object.entries(counts)) hear(name, count);
  },
  increment: ({ counter, count }) => hear(counter, count),
};

function hear(name, count) {
  const known = counters.by.get(name);
  if (known) Object.assign(known, { count: BigInt(count), heardAt: ticks() });
}

// What of a path of events tells the counters that are shown; nothing where they are asked for.
function countersFollowed(rate) {
  const query = new URLSearchParams({ counts: "string" });
  counters.names.forEach((name) => query.append("counter", name));
  const isBusy = rate > (counters.followed ? BUSY : BUSY / 2);
  const isSteady = counters.order === "name" && counters.names.length > 0;
  const isShort = counters.names.length <= FOLLOWED_MAX && `${query}`.length <= PATH_MAX;
  counters.followed = isSteady && isShort && !isBusy ? `${query}&` : "";
  return counters.followed;
}

// Unless they are followed, once a second; names that are new are found by the number of all.
async function askCounters(status) {
  const began = ticks();
  const old = status.counters !== counters.count || began - counters.askedAt > ASK_AGAIN;
  if (counters.followed && nodeEvents.tells(node.followed) && !old) return;
  let found = null;
  try {
    found = await (counters.order === "name" ? askPage() : askLog());
    counters.refusal = "";
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    counters.refusal = error.message;
  }
  counters.askedAt = began;
  counters.count = status.counters;
  if (found === null) return;
  counters.more = found.length > counters.limit;
  const shownOnes = found.slice(0, counters.limit);
  counters.names = shownOnes.map(([name]) => name);
  for (const [name, count] of shownOnes) take(name, BigInt(count), began);
  const wanted = new Set(counters.names);
  for (const map of [counters.by, counters.rows]) {
    for (const name of map.keys()) if (!wanted.has(name)) map.delete(name);
  }
}

// What was heard since `askedAt` is newer.
function take(name, count, askedAt) {
  const known = counters.by.get(name);
  if (!known) counters.by.set(name, { count, heardAt: -Infinity, last: null, samples: [] });
  else if (known.heardAt < askedAt) known.count = count;
}

// The counters that changed last, each with its count.
async function askLog() {
  const query = new URLSearchParams({ counts: "string", limit: LOG_LIMIT });
  if (counters.prefix) query.set("prefix", counters.prefix);
  const found = new Map();
  for (const { counter, count } of await ask(`log?${query}`)) {
    if (!found.has(counter)) found.set(counter, count);
  }
  return [...found];
}

async function askPage() {
  const query = new URLSearchParams({ counts: "string", limit: counters.limit + 1 });
  if (counters.prefix) query.set("prefix", counters.prefix);
  const page = await ask(`counters?${query}`);
  return Object.keys(page).sort().map((name) => [name, page[name]]); // objects have 1 before a
}

// Once a second: how much came since the last time. `changes`: how many there were in all, if that
// is known.
function sample(changes) {
  const at = ticks();
  const before = counters.sampled;
  const elapsed = before && (at - before.at) / 1000;
  if (elapsed !== null && elapsed < SAMPLE_MIN) return counters.rates.at(-1).rate;
  counters.sampled = { at, changes };
  for (const known of counters.by.values()) {
    const isKnown = changes !== null && known.last !== null && elapsed;
    known.samples.push(isKnown ? Number(known.count - known.last) / elapsed : null);
    if (known.samples.length > SAMPLES) known.samples.shift();
    known.last = changes === null ? null : known.count;
  }
  const isKnown = changes !== null && elapsed && before.changes !== null && before.changes <= changes;
  counters.rates.push({ at, rate: isKnown ? (changes - before.changes) / elapsed : null });
  if (counters.rates.length > 2 * PLOT_SECONDS) counters.rates.shift();
  return counters.rates.at(-1).rate;
}

function meanRate(samples) {
  const known = samples.slice(-RATE_OVER).filter((sample) => sample !== null);
  return known.length ? known.reduce((sum, sample) => sum + sample, 0) / known.length : null;
}

function counterRow(name) {
  const row = {
    count: element("span", {}),
    rate: element("span", {}),
    spark: drawing("svg", { class: "spark", viewBox: "0 0 59 16", preserveAspectRatio: "none" }),
    edge: drawing("path", { class: "edge" }),
  };
  row.spark.setAttribute("aria-hidden", "true");
  row.spark.append(row.edge);
  row.line = element("tr", {},
    element("th", { scope: "row" }, shown(name)),
    element("td", { class: "number" }, row.count),
    element("td", { class: "number" }, element("div", { class: "rate" }, row.rate, row.spark)));
  return row;
}

function showCounter(name) {
  const known = counters.by.get(name);
  let row = counters.rows.get(name);
  if (!row) counters.rows.set(name, (row = counterRow(name)));
  const count = whole(known.count);
  put(row.count, count);
  mark(row.count, count.length > LONG ? "long" : "");
  put(row.rate, rateText(meanRate(known.samples)));
  const sizes = known.samples.map((sample) => (sample === null ? null : Math.abs(sample)));
  const most = Math.max(...sizes, 0) || 1;
  row.edge.setAttribute("d", edgeOf(traces(sizes.map((size, index) =>
    [SAMPLES - sizes.length + index, size === null ? null : 15 - (14 * size) / most]))));
  return row.line;
}

// The stretches of points that are known, each with a path through it.
function traces(points) {
  const runs = [[]];
  for (const point of points) {
    if (point[1] === null) runs.push([]);
    else runs.at(-1).push(point);
  }
  return runs.filter((run) => run.length).map((run) => ({
    path: `M${run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`,
    from: run[0][0],
    to: run.at(-1)[0],
  }));
}

const edgeOf = (runs) => runs.map(({ path }) => path).join("");
const areaOf = (runs) =>
  runs.map(({ path, from, to }) => `${path}L${to.toFixed(1)} 48L${from.toFixed(1)} 48Z`).join("");

function showCounters() {
  arrange(byId("counters-rows"), counters.names.map(showCounter));
  for (const button of byId("orders").children) {
    button.setAttribute("aria-pressed", String(button.value === counters.order));
  }
  put(byId("counters-shown"), counters.refusal || countersShown(counters.names.length, counters.more));
  byId("counters-more").hidden = !counters.more;
}

function countersShown(count, more) {
  if (counters.order !== "name") {
    return count ? `The last ${several(count, "counter")} that changed` : "None changed lately";
  }
  if (!count) return "No counter to show";
  const all = counters.prefix ? null : node.status?.counters;
  if (!more) return several(count, "counter");
  const others = all ? `; the node has ${several(all, "counter")}` : ""; // a token may be for a part
  return `The first ${whole(count)}${others}`;
}

function showPlot() {
  const now = ticks();
  const points = counters.rates
    .map(({ at, rate }) => [PLOT_SECONDS - 1 - (now - at) / 1000, rate])
    .filter(([x]) => x >= 0);
  const rates = points.map(([, rate]) => rate ?? 0);
  const most = Math.max(...rates, 1);
  const runs = traces(points.map(([x, rate]) => [x, rate === null ? null : 47 - (45 * rate) / most]));
  const [area, edge] = byId("plot").querySelectorAll("path");
  area.setAttribute("d", areaOf(runs));
  edge.setAttribute("d", edgeOf(runs));
  const latest = meanRate(points.map(([, rate]) => rate));
  put(byId("rate"), rateText(latest));
  put(byId("plot-max"), `at most ${rateText(Math.max(...rates, 0))}`);
  const words = latest === null ? "not known" : rateText(latest);
  byId("plot").setAttribute("aria-label",
    `Changes a second: ${words} now, ${rateText(Math.max(...rates, 0))} at most in 2 minutes`);
}

byId("orders").append(...[["name", "By name"], ["recent", "Changed last"]].map(([value, words]) => {
  const button = element("button", { type: "button", value }, words);
  button.addEventListener("click", () => refindCounters({ order: value }));
  return button;
}));
byId("counters-search").addEventListener("input", (event) =>
  refindCounters({ prefix: event.target.value }));
byId("counters-more").addEventListener("click", () =>
  refindCounters({ limit: counters.limit + COUNTERS_STEP }));

function refindCounters(wish) {
  Object.assign(counters, { limit: COUNTERS_STEP }, wish, { count: null });
  polling.soon();
}
