// How figures and states are told, and elements that hold text and never HTML: what a node or a job says may be hostile.

/** Words for states of the node; one that is not here is shown as it came. */
export const STATES = {
  well: "Well",
  hot: "Hot",
  draining: "Draining",
  drained: "Takes no work",
  switching: "Switching",
  not_enrolled: "Not enrolled",
  broker_lost: "Broker lost",
  unwell: "Unwell",
};

/** An element with properties, attributes (`data-` and `aria-`) and children; text stays text. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-")) made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);

export function show(element, visible) {
  element.hidden = !visible;
}

/** Sets text only where it changed, so that a selection stays and screen readers are told only what is new. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Says which colour and mark an element has. */
export function mark(element, state) {
  if (state) element.dataset.state = state;
  else delete element.dataset.state;
}

/** Makes as many children as there are items, keeps those that are there, and draws each. */
export function fill(parent, items, make, draw) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(make());
  items.forEach((item, i) => draw(parent.children[i], item));
}

/** Fills a list of terms; each item is the term, the text and perhaps a class. Those without text are left out. */
export function terms(list, items) {
  const told = items.filter(([, text]) => text !== undefined && text !== null && text !== "");
  while (list.children.length > told.length * 2) list.lastElementChild.remove();
  while (list.children.length < told.length * 2) list.append(element("dt"), element("dd"));
  told.forEach(([term, text, className = ""], i) => {
    say(list.children[2 * i], term);
    say(list.children[2 * i + 1], String(text));
    list.children[2 * i + 1].className = className;
  });
}

/** A figure without needless digits. */
export function figure(value, unit) {
  const digits = unit === "%" || Math.abs(value) >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${unit}`;
}

export function bytes(n) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) {
    n /= 1000;
    unit += 1;
  }
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

/** Seconds as a person says them. */
export function duration(seconds) {
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  const days = Math.floor(s / 86400);
  return `${days} ${days === 1 ? "day" : "days"} ${Math.floor((s % 86400) / 3600)} h`;
}

/** How long ago, by the node's own clock: that of a phone may be another. */
export function ago(time, now) {
  const seconds = (new Date(now) - new Date(time)) / 1000;
  if (!Number.isFinite(seconds)) return time;
  return seconds < 10 ? "just now" : `${duration(seconds)} ago`;
}

/** The file's name in a location. */
export function fileName(location) {
  const name = location.replace(/\/+$/, "").split("/").pop();
  return name || location;
}

/** A line rate; most are whole. */
export function rate(mbit) {
  return mbit >= 1000 ? `${mbit / 1000} Gbit/s` : `${mbit} Mbit/s`;
}

/** A word of a protocol as words: `rolled_back` is "rolled back". */
export function plain(word) {
  return word.replaceAll("_", " ");
}

export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Parts that are there, joined. */
export function joined(...parts) {
  return parts.filter((part) => part !== undefined && part !== null && part !== false && part !== "").join(" · ");
}
