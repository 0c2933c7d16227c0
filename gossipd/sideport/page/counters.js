// The counters: only as many as are shown are asked for, however many there are. Between two
// looks at them each increment that is heard of sets its counter.

const LOG_LIMIT = 200;
const RECENT_MAX = 1000;
const SAMPLES = 60;
const RATE_OVER = 5; // samples that the rate in digits is the mean of
const PLOT_SECONDS = 120;
const COUNTERS_STEP = 50;

const counters = {
  order: "name",
  prefix: "",
  limit: COUNTERS_STEP,
  page: [], // names that the node gave, in its order
  more: false,
  counts: new Map(), // of those shown: { count, heardAt, last, samples }
  recent: new Map(), // counts of those that changed, the last one behind all others
  refusal: "",
  rows: new Map(),
  head: null, // id of the newest increment that was taken
  fresh: 0, // increments since the last sample
  sampledAt: null,
  rates: [], // changes a second of the node, one a second; null where nobody knows
};

function takeIncrement(entry) {
  const count = BigInt(entry.count);
  counters.recent.delete(entry.counter);
  counters.recent.set(entry.counter, count);
  if (counters.recent.size > RECENT_MAX) {
    counters.recent.delete(counters.recent.keys().next().value);
  }
  const track = counters.counts.get(entry.counter);
  if (track) Object.assign(track, { count, heardAt: performance.now() });
}

// The newest come first. Those between the ones that are known and the oldest of these are not
// told: how many there were follows from how fast these came.
function takeLog(entries) {
  const known = entries.findIndex((entry) => entry.id === counters.head);
  const fresh = known < 0 ? entries : entries.slice(0, known);
  const first = counters.head === null;
  if (entries.length) counters.head = entries[0].id;
  fresh.toReversed().forEach(takeIncrement);
  if (first || (known < 0 && entries.length < LOG_LIMIT)) return; // it was, or the node is, new
  const seconds = fresh.length ? fresh[0].at - fresh.at(-1).at : 0;
  const elapsed = (performance.now() - (counters.sampledAt ?? performance.now())) / 1000;
  const missing = known < 0 && seconds > 0;
  counters.fresh += missing ? (fresh.length / seconds) * elapsed : fresh.length;
}

async function askCounters() {
  const began = performance.now();
  const byName = counters.order === "name";
  const [log, page] = await Promise.all([
    ask(`/log?limit=${LOG_LIMIT}&counts=string`),
    byName ? askPage() : null,
  ]);
  takeLog(log);
  if (page === null) return;
  const names = Object.keys(page).sort(); // an object has those that look like numbers first
  for (const name of names) track(name, BigInt(page[name]), began);
  counters.more = names.length > counters.limit;
  counters.page = names.slice(0, counters.limit);
}

async function askPage() {
  const query = new URLSearchParams({ counts: "string", limit: counters.limit + 1 });
  if (counters.prefix) query.set("prefix", counters.prefix);
  try {
    const page = await ask(`/counters?${query}`);
    counters.refusal = "";
    return page;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    counters.refusal = error.message;
    return null;
  }
}

// What is known of a counter that is shown. `askedAt`: what was heard since then is newer.
function track(name, count, askedAt = Infinity) {
  let known = counters.counts.get(name);
  if (!known) counters.counts.set(name, (known = { count, heardAt: 0, last: null, samples: [] }));
  if (known.heardAt < askedAt) known.count = count;
  return known;
}

// Once a second: how much came since the last time.
function sampleCounters() {
  const now = performance.now();
  const elapsed = counters.sampledAt === null ? null : (now - counters.sampledAt) / 1000;
  counters.sampledAt = now;
  for (const known of counters.counts.values()) {
    const moved = known.last !== null && elapsed && !link.silent;
    known.samples.push(moved ? Number(known.count - known.last) / elapsed : null);
    if (known.samples.length > SAMPLES) known.samples.shift();
    known.last = link.silent ? null : known.count;
  }
  const rate = elapsed && !link.silent ? counters.fresh / elapsed : null;
  counters.fresh = 0;
  counters.rates.push({ at: now, rate });
  if (counters.rates.length > 2 * PLOT_SECONDS) counters.rates.shift();
}

function meanRate(samples) {
  const known = samples.slice(-RATE_OVER).filter((sample) => sample !== null);
  return known.length ? known.reduce((sum, sample) => sum + sample, 0) / known.length : null;
}

function counterRow(name) {
  const row = {
    count: element("td", { class: "number" }),
    rate: element("span", {}),
    spark: drawing("svg", { class: "spark", viewBox: "0 0 59 16", preserveAspectRatio: "none" }),
    edge: drawing("path", { class: "edge" }),
  };
  row.spark.setAttribute("aria-hidden", "true");
  row.spark.append(row.edge);
  row.line = element("tr", {},
    element("th", { scope: "row" }, shown(name)),
    row.count,
    element("td", { class: "number" }, element("div", { class: "rate" }, row.rate, row.spark)));
  return row;
}

function showCounter(name) {
  const known = counters.counts.get(name);
  let row = counters.rows.get(name);
  if (!row) counters.rows.set(name, (row = counterRow(name)));
  put(row.count, whole(known.count));
  put(row.rate, rateText(meanRate(known.samples)));
  const sizes = known.samples.map((sample) => (sample === null ? null : Math.abs(sample)));
  const most = Math.max(...sizes, 0) || 1;
  row.edge.setAttribute("d", trace(sizes.map((size, index) =>
    [SAMPLES - sizes.length + index, size === null ? null : 15 - (14 * size) / most])));
  return row.line;
}

// A path through these points; where one is not known it has a gap.
function trace(points) {
  let pen = "M";
  let path = "";
  for (const [x, y] of points) {
    if (y === null) {
      pen = "M";
      continue;
    }
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
  }
  return path;
}

function namesToShow() {
  if (counters.order === "name") return counters.page;
  const names = [...counters.recent.keys()].reverse();
  return names.filter((name) => name.startsWith(counters.prefix));
}

function showCounters() {
  const all = namesToShow();
  const names = all.slice(0, counters.limit);
  const wanted = new Set(names);
  for (const map of [counters.counts, counters.rows]) {
    for (const name of map.keys()) if (!wanted.has(name)) map.delete(name);
  }
  for (const name of names) if (!counters.counts.has(name)) track(name, counters.recent.get(name));
  arrange(byId("counters-rows"), names.map(showCounter));
  for (const button of byId("orders").children) {
    button.setAttribute("aria-pressed", String(button.value === counters.order));
  }
  const more = counters.order === "name" ? counters.more : all.length > names.length;
  put(byId("counters-shown"), counters.refusal || countersShown(names.length, more));
  byId("counters-more").hidden = !more;
}

function countersShown(count, more) {
  if (counters.order !== "name") {
    return count ? `The last ${several(count, "counter")} that changed` : "None changed lately";
  }
  if (!count) return "No counter to show";
  const all = counters.prefix ? null : node.status?.counters;
  if (!more) return several(count, "counter");
  return all ? `The first ${whole(count)} of ${several(all, "counter")}` : `The first ${whole(count)}`;
}

function showPlot() {
  const now = performance.now();
  const points = counters.rates
    .map(({ at, rate }) => [PLOT_SECONDS - 1 - (now - at) / 1000, rate])
    .filter(([x]) => x >= 0);
  const rates = points.map(([, rate]) => rate ?? 0);
  const most = Math.max(...rates, 1);
  const edge = points.map(([x, rate]) => [x, rate === null ? null : 47 - (45 * rate) / most]);
  const [area, line] = byId("plot").querySelectorAll("path");
  line.setAttribute("d", trace(edge));
  area.setAttribute("d", points.length ? `${areaBelow(edge)}` : "");
  const latest = meanRate(points.map(([, rate]) => rate));
  put(byId("rate"), rateText(latest));
  put(byId("plot-max"), `at most ${rateText(Math.max(...rates, 0))}`);
  const words = latest === null ? "not known" : rateText(latest);
  byId("plot").setAttribute("aria-label",
    `Changes a second: ${words} now, ${rateText(Math.max(...rates, 0))} at most in 2 minutes`);
}

function areaBelow(edge) {
  const known = edge.filter(([, y]) => y !== null);
  if (!known.length) return "";
  return `${trace([[known[0][0], 48], ...known, [known.at(-1)[0], 48]])}Z`;
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
  Object.assign(counters, { limit: COUNTERS_STEP }, wish);
  counting.soon();
}

const counting = repeat(async () => {
  try {
    await askCounters();
  } finally {
    sampleCounters();
  }
  showCounters();
}, () => 1000);
