// What is shown as text. Names are users' data: they only ever become text nodes, and what would
// not be seen in them, or would turn the words around them, is shown by its number.

const HIDDEN = /[\p{C}\p{DI}\p{Zl}\p{Zp}\u2800]|(?! )\p{Zs}|^ | $/gu;

const byId = (id) => document.getElementById(id);

const numberOf = (character) =>
  `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawing(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// A name, for what is read aloud and for titles.
const plain = (text) => String(text).replace(HIDDEN, (found) => `<${numberOf(found)}>`);

// A name as an element of its own, so that its direction stays its own.
function shown(text, tag = "bdi") {
  const made = element(tag, { class: "name", dir: "auto" });
  let end = 0;
  for (const found of text.matchAll(HIDDEN)) {
    made.append(text.slice(end, found.index));
    made.append(element("span", { class: "escape" }, numberOf(found[0])));
    end = found.index + found[0].length;
  }
  made.append(text.slice(end));
  return made;
}

function put(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

function mark(target, classes) {
  if (target.className !== classes) target.className = classes;
}

// Make these the children, in this order; those that stay are not touched, nor their focus.
function arrange(parent, wanted) {
  wanted.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  while (parent.children.length > wanted.length) parent.lastElementChild.remove();
}

const grouped = new Intl.NumberFormat("en-US");
const whole = (value) => grouped.format(value);
const several = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;

function rateText(value) {
  if (value === null) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 9.95) return whole(Math.round(value));
  return size < 0.05 ? "< 0.1" : value.toFixed(1);
}

function span(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60]];
  const fit = units.find(([, size]) => seconds >= size);
  return fit ? `${Math.floor(seconds / fit[1])} ${fit[0]}` : `${Math.max(0, Math.floor(seconds))} s`;
}

function roundTrip(member) {
  if (member.self) return "–";
  const ms = member.rtt_ms;
  if (typeof ms !== "number") return "–";
  return `${ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
}

const clock = (date) => date.toTimeString().slice(0, 8);

function dayAndClock(date) {
  const day = date.toDateString();
  return day === new Date().toDateString() ? clock(date) : `${day} ${clock(date)}`;
}
