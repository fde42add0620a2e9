// What all pages need: how figures are told, how the API is asked, and elements that hold text and never HTML.

export const STATES = { queued: "Waiting", running: "Running", done: "Done", failed: "Failed", canceled: "Canceled" };

/** Of nodes; those that need somebody come first. */
export const NODE_STATES = { degraded: "Unwell", down: "Away", unknown: "Not heard of", up: "Well" };

/** The order of nodes in a list: by state, then by name, numbers in it as numbers. */
export function order(a, b) {
  const place = (node) => Object.keys(NODE_STATES).indexOf(node.state);
  return place(a) - place(b) || a.node.localeCompare(b.node, "en", { numeric: true });
}

/** A figure without needless digits. */
export function figure(value, unit) {
  const digits = unit === "%" || Math.abs(value) >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${unit}`;
}

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

/** Shows an element if there is something to show in it. */
export function show(element, visible) {
  element.hidden = !visible;
}

/** Sets text only where it changed, so that screen readers are told only what is new. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The file's name in a location. */
export function fileName(location) {
  const name = location.replace(/\/+$/, "").split("/").pop();
  return name || location;
}

export function percent(progress) {
  if (!progress || !progress.frames_expected) return null;
  return Math.min(1, progress.frame / progress.frames_expected);
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

export function rate(bps) {
  return bps >= 1e6 ? `${(bps / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bps / 1e3)} kbit/s`;
}

/** Seconds as a person says them. */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  const two = (n) => String(n).padStart(2, "0");
  if (s < 3600) return `${Math.floor(s / 60)}:${two(s % 60)} min`;
  return `${Math.floor(s / 3600)}:${two(Math.floor((s % 3600) / 60))} h`;
}

/** Seconds that are a guess. */
export function timeLeft(seconds) {
  if (seconds === undefined || seconds === null) return "–";
  return seconds < 10 ? "a few seconds" : `about ${duration(seconds)}`;
}

/** How many, in words: `1 task`, `1,200 tasks`. */
export function count(n, one, many = `${one}s`) {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

/** A reason and its hints, as dead letters tell them: further lines begin with `hint: `. */
export function reasonAndHints(text) {
  const [reason = "", ...rest] = text.split("\n");
  return { reason, hints: rest.map((line) => line.replace(/^hint: /, "")).filter(Boolean) };
}

/** Where the API has a dead letter. */
export function letterAddress(letter) {
  return `/v1/dead-letters/${encodeURIComponent(letter.lane)}/${encodeURIComponent(letter.message_id)}`;
}

export function ago(time, now = Date.now()) {
  const seconds = Math.max(0, (now - new Date(time).getTime()) / 1000);
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return new Date(time).toLocaleDateString(undefined, { dateStyle: "medium" });
}

export function moment(time) {
  return new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** An error that a person can act on, from an answer of the API. */
export class Refused extends Error {
  constructor(status, problem) {
    super([problem.detail, problem.hint].filter(Boolean).join("\n"));
    this.status = status;
  }
}

/** The JSON in an answer's text; throws what the API said, or what can be said without it. */
export function understood(status, text) {
  let body = {};
  try {
    body = JSON.parse(text);
  } catch {
    body = { detail: `the hub answered ${status}` };
  }
  if (status < 200 || status > 299) throw new Refused(status, body);
  return body;
}

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused(0, { detail: "The hub does not answer.", hint: "Is it running? This page tries again by itself." });
  }
  return understood(answer.status, await answer.text());
}

/** Follows a stream of events, each heard by the function of its name, while the page is seen; a hidden page holds no
 * connection. Returns how to stop. */
export function follow(path, { opened, lost, ...heard }) {
  let source = null;
  let stopped = false;
  const stop = () => {
    source?.close();
    source = null;
  };
  const start = () => {
    if (source || stopped) return;
    source = new EventSource(path);
    source.addEventListener("open", () => opened?.());
    for (const [name, tell] of Object.entries(heard)) source.addEventListener(name, (event) => tell(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      lost?.();
      // Some errors end the stream for good; then begin a new one.
      if (source?.readyState === EventSource.CLOSED) {
        stop();
        setTimeout(() => document.hidden || start(), 2000);
      }
    });
  };
  const seen = () => (document.hidden ? stop() : start());
  document.addEventListener("visibilitychange", seen);
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", seen);
  start();
  return () => {
    stopped = true;
    stop();
  };
}

/** The mark in the corner that says whether what is seen is current. */
export function liveMark(state) {
  const mark = document.getElementById("live");
  show(mark, state !== "none");
  mark.classList.toggle("lost", state === "lost");
  say(mark, { live: "Live", lost: "Connection lost", none: "" }[state]);
}
