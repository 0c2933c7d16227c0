// The members: all are kept, some are shown.

const STATES = ["alive", "suspect", "failed", "left"];
const STATE_CLASS = { alive: "good", suspect: "warn", failed: "bad", left: "gone" };
const RANK = { suspect: 0, failed: 1, alive: 3, left: 4 };
const STEP = 100;
const CHANGES_MAX = 100;
const NAMED_MAX = 3;
const MANY = 100;

const members = {
  by: new Map(),
  heard: new Set(), // names that events told of since all were asked for
  known: false, // whether all were told once: what comes then is a change
  state: "all",
  search: "",
  limit: STEP,
  stale: true, // what is shown is not what would be
  rows: new Map(),
  changes: [],
};

const memberTakes = {
  member(member) {
    members.heard.add(member.name);
    if (member.state === "forgotten") dropMember(member.name);
    else takeMember(member);
  },
  present({ members: count }) {
    if (count !== members.by.size) pollMembers.soon(); // some were forgotten meanwhile
    members.known = true;
  },
};

function takeMember(member) {
  const before = members.by.get(member.name);
  members.by.set(member.name, member);
  members.stale = true;
  if (members.known && before?.state !== member.state) {
    changed(member, before ? before.state : null, member.state);
  }
}

// A list takes a while; what was heard meanwhile is newer.
function takeMembers(list) {
  const names = new Set(list.map((member) => member.name));
  list.filter((member) => !members.heard.has(member.name)).forEach(takeMember);
  for (const name of members.by.keys()) {
    if (!names.has(name) && !members.heard.has(name)) dropMember(name);
  }
  members.known = true;
}

function dropMember(name) {
  const member = members.by.get(name);
  if (!member) return;
  members.by.delete(name);
  members.stale = true;
  changed(member, member.state, "forgotten");
}

function changed(member, before, after) {
  // It may be heard of late, as after a sleep; when a member was forgotten nobody tells.
  const at = new Date(after === "forgotten" ? Date.now() : member.since * 1000 - link.offset);
  const words = before ? `was ${before}, is ${after}` : `is ${after}, and new here`;
  const item = element("li", {},
    element("time", { datetime: at.toISOString() }, dayAndClock(at)),
    shown(member.name, "strong"),
    element("span", { class: STATE_CLASS[after] ?? "gone" }, words),
    element("span", { class: "note" }, plain(after === "forgotten" ? "" : whyOf(member))));
  members.changes.unshift(item);
  members.changes.length = Math.min(members.changes.length, CHANGES_MAX);
  say(`${plain(member.name)} is ${after}`);
}

const whyOf = (member) => member.why ?? "";

const tagsOf = (member) =>
  Object.entries(member.tags ?? {}).map(([name, value]) => `${name}=${value}`).join(" ");

function isWanted(member) {
  if (members.state !== "all" && member.state !== members.state) return false;
  const text = `${member.name}\n${member.address}\n${tagsOf(member)}`;
  return text.toLowerCase().includes(members.search);
}

const rank = (member) => (member.self && member.state === "alive" ? 2 : RANK[member.state] ?? 2);
const collator = new Intl.Collator("en", { numeric: true });

function memberRow(name) {
  const row = {
    own: element("span", { class: "own" }),
    address: element("span", { class: "note address" }),
    tags: element("span", { class: "note tags" }),
    why: element("span", {}),
    explain: element("a", {
      href: `explain?${new URLSearchParams({ name })}`, "aria-label": `Explain ${plain(name)}`,
    }, "explain"),
    state: element("span", { class: "state" }),
    since: element("time", { class: "note since" }),
    trip: element("td", { class: "number" }),
  };
  row.reason = element("div", { class: "note why" }, row.why, " ", row.explain);
  row.line = element("tr", {},
    element("th", { scope: "row" }, element("div", { class: "pair" },
      element("div", {}, shown(name), row.own), element("div", {}, row.address, " ", row.tags), row.reason)),
    element("td", {}, element("div", { class: "pair" }, row.state, row.since)),
    row.trip);
  return row;
}

function showMember(member) {
  let row = members.rows.get(member.name);
  if (!row) members.rows.set(member.name, (row = memberRow(member.name)));
  put(row.own, member.self ? " this node" : "");
  put(row.address, member.address);
  put(row.tags, plain(tagsOf(member)));
  row.reason.hidden = member.state === "alive";
  put(row.why, plain(whyOf(member)));
  put(row.state, member.state);
  mark(row.state, `state ${STATE_CLASS[member.state] ?? "gone"}`);
  put(row.trip, roundTrip(member));
  if (row.at !== member.since) {
    row.at = member.since;
    const since = new Date(member.since * 1000);
    row.since.dateTime = since.toISOString();
    row.since.title = since.toString();
  }
  put(row.since, `${span(nodeTime() / 1000 - member.since)}`);
  return row.line;
}

function memberCounts() {
  const counts = { all: members.by.size, ...Object.fromEntries(STATES.map((state) => [state, 0])) };
  for (const member of members.by.values()) counts[member.state] += 1;
  return counts;
}

// The node counts others than those that are known here.
function missMembers(told) {
  const counts = memberCounts();
  if (STATES.some((state) => told[state] !== counts[state])) pollMembers.soon();
}

function showMembers() {
  const counts = memberCounts();
  for (const button of byId("states").children) {
    const state = button.value;
    put(button, `${state[0].toUpperCase()}${state.slice(1)} ${whole(counts[state] ?? 0)}`);
    button.setAttribute("aria-pressed", String(state === members.state));
  }
  if (members.stale) {
    members.stale = false;
    members.found = [...members.by.values()].filter(isWanted).sort(
      (one, other) => rank(one) - rank(other) || collator.compare(one.name, other.name));
  }
  const some = members.found.slice(0, members.limit);
  const names = new Set(some.map((member) => member.name));
  for (const name of members.rows.keys()) if (!names.has(name)) members.rows.delete(name);
  arrange(byId("members-rows"), some.map(showMember));
  showMore("members", some.length, members.found.length, "member");
  byId("changes-none").hidden = members.changes.length > 0;
  arrange(byId("changes"), members.changes);
}

function showMore(what, shownCount, count, noun) {
  const part = shownCount < count ? `${whole(shownCount)} of ${several(count, noun)}` : several(count, noun);
  put(byId(`${what}-shown`), count === 0 ? `No ${noun} to show` : part);
  byId(`${what}-more`).hidden = shownCount >= count;
}

// How many are in a state, and who they are while these are few.
function thoseWho(state, count, words) {
  const names = [...members.by.values()].filter((member) => member.state === state)
    .map((member) => plain(member.name)).sort(collator.compare);
  const few = names.length === count && count <= NAMED_MAX ? `: ${names.join(", ")}` : "";
  return `${several(count, "member")} ${words}${few}`;
}

const pollMembers = repeat(async () => {
  members.heard.clear();
  takeMembers(await ask("members", 5 * PATIENCE));
  showMembers();
}, () => (nodeEvents.isOpen && members.by.size > MANY ? 15000 : 5000)); // round trips are no events

byId("states").append(...["all", ...STATES].map((state) => {
  const button = element("button", { type: "button", value: state }, state);
  button.addEventListener("click", () => refindMembers({ state }));
  return button;
}));
byId("members-search").addEventListener("input", (event) =>
  refindMembers({ search: event.target.value.trim().toLowerCase() }));
byId("members-more").addEventListener("click", () => {
  members.limit += STEP;
  showMembers();
});

function refindMembers(wish) {
  Object.assign(members, wish, { limit: STEP, stale: true });
  showMembers();
}
