// The list of nodes. What a node says may be hostile: it is text here and never anything else.

import { NODE_STATES, ago, ask, element, figure, follow, liveMark, moment, order, say, show } from "./words.js";

const byId = (id) => document.getElementById(id);
const list = byId("nodes");
/** By the node's name: the node and its card's parts. */
const cards = new Map();

/** A node's figures in the order of their weight: name, key in the heartbeat, unit. */
const FIGURES = [
  ["Temperature", "temp_c", "°C"],
  ["Processors", "cpu_pct", "%"],
  ["GPU", "gpu_pct", "%"],
  ["Encoder", "enc_pct", "%"],
  ["Memory", "mem_pct", "%"],
  ["Disk", "disk_pct", "%"],
  ["Power", "power_w", "W"],
];

function newCard(node) {
  const parts = {
    name: element("h2", { className: "name" }, node.node),
    state: element("p", { className: "state" }),
    about: element("p", { className: "hint" }),
    why: element("ul", { className: "plain why" }),
    figures: element("dl", { className: "figures" }),
    seen: element("p", { className: "hint seen" }),
    more: element("dl", { className: "details" }),
  };
  const details = element("details", {}, element("summary", {}, "More"), parts.more);
  const head = element("div", { className: "headline" }, parts.name, parts.state);
  return { ...parts, item: element("li", { className: "card" }, head, parts.about, parts.why, parts.figures, parts.seen, details) };
}

/** Fills a list of terms with those that have a text. */
function terms(list, items) {
  const told = items.filter(([, text]) => text !== undefined && text !== null && text !== "");
  while (list.children.length > told.length) list.lastElementChild.remove();
  while (list.children.length < told.length) list.append(element("div", {}, element("dt"), element("dd")));
  told.forEach(([term, text], i) => {
    say(list.children[i].children[0], term);
    say(list.children[i].children[1], text);
  });
}

function draw(node, card) {
  const beat = node.heartbeat ?? {};
  const there = node.state === "up" || node.state === "degraded";
  say(card.state, NODE_STATES[node.state] ?? node.state);
  card.state.dataset.state = node.state;
  say(card.about, [node.board, ...(node.tags ?? [])].filter(Boolean).join(" · "));
  show(card.about, card.about.textContent);
  const reasons = node.reasons ?? [];
  while (card.why.children.length > reasons.length) card.why.lastElementChild.remove();
  while (card.why.children.length < reasons.length) card.why.append(element("li"));
  reasons.forEach((reason, i) => say(card.why.children[i], reason));
  show(card.why, reasons.length > 0);
  const measured = FIGURES.filter(([, key]) => Number.isFinite(beat[key])).map(([name, key, unit]) => [name, figure(beat[key], unit)]);
  const tasks = beat.tasks === undefined ? [] : [["Tasks", String(beat.tasks)]];
  // What was measured before it went is no figure of now.
  terms(card.figures, there ? [...tasks, ...measured] : []);
  show(card.figures, card.figures.children.length > 0);
  say(card.seen, node.last_seen ? `Last seen ${ago(node.last_seen)}` : "Not seen since this hub listens");
  card.seen.title = node.last_seen ? moment(node.last_seen) : "";
  terms(card.more, [
    ["Agent", node.agent],
    ["Operations", Object.keys(node.ops ?? {}).join(", ")],
    ["Last seen", node.last_seen && moment(node.last_seen)],
  ]);
  show(card.more.parentElement, card.more.children.length > 0);
}

function upsert(node) {
  const known = cards.get(node.node);
  const card = known?.card ?? newCard(node);
  cards.set(node.node, { node, card });
  draw(node, card);
  arrange();
}

/** What needs somebody comes first. */
function arrange() {
  const sorted = [...cards.values()].sort((a, b) => order(a.node, b.node));
  sorted.forEach(({ card }, i) => {
    if (list.children[i] !== card.item) list.insertBefore(card.item, list.children[i] ?? null);
  });
  const count = (state) => sorted.filter(({ node }) => node.state === state).length;
  const told = Object.entries(NODE_STATES).map(([state, word]) => [count(state), word.toLowerCase()]).filter(([n]) => n > 0);
  say(byId("tally"), told.map(([n, word]) => `${n} ${word}`).join(" · "));
  show(byId("empty"), sorted.length === 0);
}

/** How the hub stands to the broker, without which nothing here is new. */
function broker(line) {
  const lost = line && !line.connected;
  const why = line?.why ? `: ${line.why}` : "";
  say(byId("line"), lost ? `This hub does not hear the broker at ${line.address}${why}.\nWhat is shown may be old; it tries again by itself.` : "");
  show(byId("line"), lost);
  byId("line").classList.toggle("bad", Boolean(lost && line.why));
  const how = line
    ? `On the hub, "reelmill-hub token join" makes a token that lets a new node in; docs/operate/agent.md tells more.`
    : "This hub has no broker. Start it with --fleet-listen ADDRESS:PORT, or set FLEET_BROKER.";
  say(byId("how"), how);
}

async function refresh() {
  try {
    const answer = await ask("/v1/nodes");
    show(byId("trouble"), false);
    broker(answer.broker);
    const there = new Set(answer.nodes.map((node) => node.node));
    for (const [name, { card }] of cards) {
      if (!there.has(name)) {
        card.item.remove();
        cards.delete(name);
      }
    }
    answer.nodes.forEach(upsert);
    arrange();
  } catch (error) {
    say(byId("trouble"), error.message);
    show(byId("trouble"), true);
  }
}

follow("/v1/events/nodes", {
  opened: () => {
    liveMark("live");
    refresh();
  },
  lost: () => liveMark("lost"),
  node: upsert,
  broker: refresh,
});
refresh();
setInterval(() => cards.forEach(({ node, card }) => draw(node, card)), 10_000);
