// Lanes and dead letters, and what can be done about them. What a message says may be hostile: it is text here and never
// anything else.

import { ask, bytes, count, duration, element, letterAddress, liveMark, reasonAndHints, say, show } from "./words.js";

const byId = (id) => document.getElementById(id);
/** How often the queue is asked while the page is seen. */
const EVERY_MS = 5000;
/** How many dead letters are shown. */
const SHOWN = 20;
/** By lane: its row's parts. By a letter's address: its item's parts. */
const rows = new Map();
const items = new Map();

// ---- Lanes ----

const FIGURES = [
  ["Ready", (lane) => lane.ready.toLocaleString("en")],
  ["Later", (lane) => lane.delayed.toLocaleString("en")],
  ["In work", (lane) => lane.leased?.toLocaleString("en") ?? "–"],
  ["Dead", (lane) => lane.dead.toLocaleString("en")],
  ["Oldest", (lane) => (lane.oldest_seconds === undefined ? "–" : duration(lane.oldest_seconds))],
];

function newRow(lane) {
  const parts = {
    mark: element("span", { className: "state" }),
    cells: FIGURES.map(([name]) => element("td", { className: "number", "data-label": name })),
    button: element("button", { type: "button", className: "quiet small" }),
  };
  parts.mark.dataset.state = "paused";
  const name = element("span", { className: "lane" }, lane.lane);
  parts.item = element("tr", {}, element("th", { scope: "row" }, name, " ", parts.mark), ...parts.cells, element("td", { className: "deed" }, parts.button));
  parts.button.addEventListener("click", () => press(parts.button, byId("lane-trouble"), parts.button.dataset.address));
  return parts;
}

function drawLanes(lanes) {
  for (const lane of lanes) {
    if (!rows.has(lane.lane)) rows.set(lane.lane, newRow(lane));
    const row = rows.get(lane.lane);
    FIGURES.forEach(([, figure], i) => say(row.cells[i], figure(lane)));
    const idle = lane.ready + lane.delayed + (lane.leased ?? 0) + lane.dead === 0 && !lane.paused;
    row.item.classList.toggle("idle", idle);
    show(row.mark, lane.paused);
    // A lane of needs that is paused with its preset is opened with it.
    const [meant, deed] = [lane.paused_with ?? lane.lane, lane.paused ? "Resume" : "Pause"];
    say(row.mark, lane.paused_with ? `Paused with ${lane.paused_with}` : "Paused");
    row.button.dataset.address = `/v1/lanes/${encodeURIComponent(meant)}/${deed.toLowerCase()}`;
    say(row.button, deed);
    row.button.setAttribute("aria-label", `${deed} ${meant}`);
  }
  arrange(byId("lanes"), rows, lanes.map((lane) => lane.lane));
  const sum = (of) => lanes.reduce((all, lane) => all + (of(lane) ?? 0), 0);
  const told = [
    `${count(sum((lane) => lane.ready + lane.delayed), "task")} waiting`,
    lanes.some((lane) => lane.leased !== undefined) && `${sum((lane) => lane.leased).toLocaleString("en")} in work`,
    sum((lane) => lane.dead) > 0 && count(sum((lane) => lane.dead), "dead letter"),
    lanes.some((lane) => lane.paused) && `${count(lanes.filter((lane) => lane.paused).length, "lane")} paused`,
  ];
  say(byId("tally"), told.filter(Boolean).join(" · "));
  return sum((lane) => lane.dead);
}

// ---- Dead letters ----

function newItem(letter) {
  const { reason, hints } = reasonAndHints(letter.reason);
  const address = letterAddress(letter);
  const parts = {
    retry: element("button", { type: "button", className: "small" }, "Try again"),
    drop: element("button", { type: "button", className: "quiet small" }, "Drop"),
  };
  const job = letter.job
    ? element("a", { href: `/jobs/${encodeURIComponent(letter.job)}` }, "Its job")
    : element("span", {}, "No job");
  const told = `${letter.lane} · ${count(letter.attempts, "attempt")} · ${bytes(letter.bytes)} · `;
  const body = element("pre", { className: "mono" });
  const details = element("details", {}, element("summary", {}, "What was published"), body);
  details.addEventListener("toggle", () => details.open && open(address, body));
  parts.item = element(
    "li",
    { className: "card" },
    element("p", { className: "reason" }, reason || "No reason was given."),
    ...hints.map((hint) => element("p", { className: "advice" }, hint)),
    element("p", { className: "hint" }, told, job),
    details,
    element("div", { className: "deeds" }, parts.retry, parts.drop),
  );
  parts.retry.addEventListener("click", () => press(parts.retry, byId("letter-trouble"), `${address}/retry`));
  parts.drop.addEventListener("click", () => {
    if (confirm("Drop this message for good?")) press(parts.drop, byId("letter-trouble"), address, "DELETE");
  });
  return parts;
}

async function open(address, body) {
  try {
    const letter = await ask(address);
    const note = letter.encoding === "base64" ? "No text; here in base64:\n" : "";
    say(body, note + letter.body);
  } catch (error) {
    say(body, error.message);
  }
}

function drawLetters(letters, all) {
  const addresses = letters.map(letterAddress);
  letters.forEach((letter, i) => {
    if (!items.has(addresses[i])) items.set(addresses[i], newItem(letter));
  });
  arrange(byId("letters"), items, addresses);
  show(byId("dead"), letters.length > 0 || !byId("letter-trouble").hidden);
  const more = all - letters.length;
  say(byId("more"), more > 0 ? `${more.toLocaleString("en")} more. The command line deals with all of them: reelmill dead list` : "");
  show(byId("more"), more > 0);
}

// ---- Both ----

/** Has a list show the parts of these keys in this order, and no others. */
function arrange(list, parts, keys) {
  const wanted = new Set(keys);
  for (const [key, { item }] of parts) {
    if (!wanted.has(key)) {
      item.remove();
      parts.delete(key);
    }
  }
  keys.forEach((key, i) => {
    const { item } = parts.get(key);
    if (list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null);
  });
}

/** Does what a button says, and shows what has become of it. */
async function press(button, trouble, address, method = "POST") {
  button.disabled = true;
  show(trouble, false);
  try {
    await ask(address, { method });
  } catch (error) {
    say(trouble, error.message);
    show(trouble, true);
  }
  await refresh();
  button.disabled = false;
}

async function refresh() {
  try {
    const [{ lanes }, { dead_letters: letters }] = await Promise.all([ask("/v1/lanes"), ask(`/v1/dead-letters?limit=${SHOWN}`)]);
    drawLetters(letters, drawLanes(lanes));
    show(byId("trouble"), false);
    liveMark("live");
  } catch (error) {
    say(byId("trouble"), error.message);
    show(byId("trouble"), true);
    liveMark("lost");
  }
}

refresh();
setInterval(() => document.hidden || refresh(), EVERY_MS);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
