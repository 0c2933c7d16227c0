// The node itself: whether all is well, in one sentence, and its numbers.

const node = {
  status: null,
  toldAt: null, // in ticks()
  reason: "",
  refusal: "",
  followed: "", // the path of events that is wanted
};
const OLD = 15000; // ms after which a status is not taken for the present one
const NEAR = 0.8; // the share of a limit from which on the node warns, too
const ICONS = { good: "#14713a", warn: "#d08400", bad: "#b3211b", "": "#777777" };

const nodeEvents = follower({ ...memberTakes, ...counterTakes });

const polling = repeat(async () => {
  let changes = null;
  try {
    const status = await ask("status");
    node.reason = status.ready ? "" : await whyNotReady();
    node.status = status;
    node.toldAt = ticks();
    if (!nodeEvents.isOpen) missMembers(status.members);
    await askCounters(status);
    changes = status.changes;
    node.refusal = "";
  } catch (error) {
    node.refusal = error instanceof Refusal ? error.message : "";
    throw error;
  } finally {
    node.followed = `events?${countersFollowed(sample(changes))}members=true`;
    nodeEvents.follow(document.hidden ? null : node.followed);
    showSoon();
  }
}, () => 1000);

async function whyNotReady() {
  try {
    await ask("ready");
    return "";
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

// [level, sentence, reasons]
function verdict() {
  const status = node.status;
  const age = ticks() - node.toldAt;
  const old = status ? [`What is shown is ${span(age / 1000)} old. It is asked again and again.`] : [];
  if (link.silent) {
    if (link.answeredAt === null) return ["bad", "This node does not answer.", []];
    const at = clock(new Date(Date.now() - (ticks() - link.answeredAt)));
    return ["bad", `This node does not answer, since ${at}.`, old];
  }
  if (node.refusal) return ["bad", "This node does not tell how it is.", [node.refusal, ...old]];
  if (!status || age > OLD) return ["", "Asking the node …", old];
  const { alive, suspect, failed } = countsOf(status);
  const reasons = [...status.alarms];
  if (failed) reasons.push(thoseWho("failed", failed, "failed"));
  if (suspect) reasons.push(thoseWho("suspect", suspect, "suspected"));
  if (status.leaving) return ["bad", "This node is leaving the cluster.", reasons];
  if (!status.ready) {
    const why = node.reason.split("; ").filter((text) => text && !reasons.includes(text));
    return ["bad", "This node is not ready: ask another one.", [...why, ...reasons]];
  }
  if (reasons.length) return ["warn", "This node is ready, but not all is well.", reasons];
  return ["good", alive > 1 ? `All is well: ${whole(alive)} members alive.` : "All is well: this node is alone.", []];
}

// Of the members, what is newest.
const countsOf = (status) => (members.known && nodeEvents.isOpen ? memberCounts() : status.members);

function agreement(status) {
  const peers = countsOf(status).alive - 1;
  const note = `fingerprint ${status.fingerprint}`;
  if (peers < 1) return ["–", `no peers; ${note}`];
  const moving = status.agreeing < peers && counters.rates.some(({ rate }) => rate > 0);
  return [`${whole(status.agreeing)} of ${whole(peers)}`,
    `peers showed the same counts${moving ? " (they are moving)" : ""}; ${note}`];
}

function tilesOf(status) {
  const { alive, suspect, failed, left } = countsOf(status);
  const gone = [[suspect, "suspect"], [failed, "failed"], [left, "left"]]
    .filter(([count]) => count).map(([count, state]) => `${whole(count)} ${state}`);
  const health = status.health;
  return {
    "Members alive": [whole(alive), gone.join(", ") || "none suspect or failed", failed ? "bad" : suspect ? "warn" : ""],
    Agreement: agreement(status),
    "Local health": [health ? `slow: ${health}` : "good",
      health ? "it waits longer before it suspects" : "not slow itself", health ? "warn" : ""],
    Counters: [whole(status.counters), `${several(status.streams, "stream")}, ${several(status.registers, "register")}`],
  };
}

function showPairs(list, pairs, make) {
  arrange(list, pairs.map(([name], index) => {
    const kept = list.children[index];
    return kept?.firstElementChild.textContent === name
      ? kept : element("div", {}, element("dt", {}, name), ...make());
  }));
  return [...list.children];
}

function showTiles(status) {
  const tiles = Object.entries(tilesOf(status));
  const made = showPairs(byId("tiles"), tiles, () => [element("dd", {},
    element("span", { class: "big" }), element("span", { class: "note" }))]);
  made.forEach((tile, index) => {
    const [, [big, note, level = ""]] = tiles[index];
    const [first, second] = tile.lastElementChild.children;
    put(first, big);
    mark(first, `big ${level}`);
    put(second, note);
  });
}

// What is held is either a number beside the limit or one of the keys'.
const heldOf = (status, name) =>
  name === "keys" ? status.keys.held : status[name] ?? status.keys[`${name}_held`] ?? 0;

function showLimits(status) {
  const limits = Object.entries(status.limits);
  const made = showPairs(byId("limits"), limits, () => [element("dd", {}),
    element("div", { class: "track", "aria-hidden": "true" }, element("span", {}))]);
  made.forEach((limit, index) => {
    const [name, most] = limits[index];
    const held = heldOf(status, name);
    const share = Math.min(1, held / most);
    put(limit.children[1], `${whole(held)} of ${whole(most)}`);
    limit.querySelector("span").style.width = `${(100 * share).toFixed(1)}%`;
    mark(limit, share >= 1 ? "bad" : share >= NEAR ? "warn" : "");
  });
}

function* flat(value, path = "") {
  if (value !== null && typeof value === "object" && Object.keys(value).length) {
    for (const [name, inner] of Object.entries(value)) yield* flat(inner, path ? `${path} ${name}` : name);
  } else {
    yield [path, typeof value === "object" ? "–" : typeof value === "number" ? whole(value) : String(value)];
  }
}

function showAll(status) {
  const pairs = [...flat(status)].map(([name, value]) => [plain(name), plain(value)]);
  const made = showPairs(byId("status"), pairs, () => [element("dd", {})]);
  made.forEach((pair, index) => put(pair.lastElementChild, pairs[index][1]));
}

function showFacts(status) {
  const facts = [["Cluster", status.cluster], ["Gossip address", status.address], ["Version", status.version]];
  const made = showPairs(byId("facts"), facts, () => [element("dd", {})]);
  made.forEach((fact, index) => put(fact.lastElementChild, plain(facts[index][1])));
  if (byId("name").title !== status.name) {
    byId("name").title = status.name;
    byId("name").replaceChildren(shown(status.name));
  }
}

// [level, words]: whether what is shown is what holds, and how that is known.
function linkState(verdictLevel) {
  if (link.silent) return ["bad", "no answer"];
  if (node.refusal) return ["bad", "refused"];
  if (verdictLevel === "") return ["", "connecting"];
  return ["good", nodeEvents.isOpen ? "live" : "asked every second"];
}

let level = null;

function showVerdict() {
  const [now, sentence, reasons] = verdict();
  mark(byId("verdict"), `verdict ${now}`);
  put(byId("verdict-title"), sentence);
  const list = byId("reasons");
  arrange(list, reasons.map((_, index) => list.children[index] ?? element("li", {})));
  reasons.forEach((reason, index) => put(list.children[index], plain(reason)));
  const [linked, words] = linkState(now);
  mark(document.documentElement, linked === "bad" ? "stale" : "");
  mark(byId("link"), `state ${linked}`);
  put(byId("link"), words);
  const name = node.status ? plain(node.status.name) : location.host;
  const title = `${now === "good" || now === "" ? "" : "(!) "}${name} · gossipd`;
  if (document.title !== title) document.title = title;
  if (level === now) return;
  if (level !== null) say(sentence);
  level = now;
  document.querySelector("link[rel=icon]").href = "data:image/svg+xml," + encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.5" fill="${ICONS[now]}"/></svg>`);
}

// Tell those who hear the page, a few words at a time.
const SAID_MAX = 3;
const unsaid = [];

function say(sentence) {
  if (unsaid.push(sentence) > 1) return;
  setTimeout(() => {
    const some = unsaid.slice(0, SAID_MAX).join(". ");
    const rest = unsaid.length - SAID_MAX;
    byId("said").textContent = rest > 0 ? `${some}, and ${several(rest, "more change")}.` : some;
    unsaid.length = 0;
  }, 1000);
}

function show() {
  showVerdict();
  if (node.status) {
    showFacts(node.status);
    showTiles(node.status);
    showLimits(node.status);
    showAll(node.status);
  }
  showMembers();
  showCounters();
  showPlot();
}

setInterval(() => document.hidden || show(), 1000);
show();
polling.soon();
pollMembers.soon();
document.addEventListener("visibilitychange", () => {
  if (document.hidden) nodeEvents.follow(null);
  else show();
});
