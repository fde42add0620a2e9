// The node's page: follows the agent's events and draws what they tell.

import { curveCard, drawCurve } from "./curve.js";
import { PARTS } from "./parts.js";
import { STATES, ago, byId, bytes, capital, duration, element, figure, fill, joined, mark, plain, say, show } from "./words.js";

/** The curves: rows of figures, and what the columns are called. */
let points = [];
let columns = [];
let newest = null;

// ---- Who it is and how it stands ----

function drawTop(status) {
  const { node, os, tags, state, reasons } = status;
  say(byId("name"), node.id || node.hostname || "Node");
  drawState(STATES[state] ?? plain(state), state);
  const up = os.uptime_seconds === undefined ? null : `up ${duration(os.uptime_seconds)}`;
  say(byId("about"), joined(node.board.model, up, tags.length ? `tags: ${tags.join(", ")}` : null));
  const make = () => element("li", { className: "reason" }, element("strong"), element("span"));
  fill(byId("reasons"), reasons, make, (item, reason) => {
    mark(item, reason.state);
    say(item.children[0], `${reason.state === "well" ? "Note" : (STATES[reason.state] ?? plain(reason.state))}:`);
    say(item.children[1], reason.text);
  });
  const waiting = status.farm?.enrolment?.state === "waiting" ? status.farm.enrolment : null;
  show(byId("pairing"), Boolean(waiting?.pairing_code));
  say(byId("code"), waiting?.pairing_code ?? "");
}

function drawState(word, state) {
  document.title = `${byId("name").textContent}: ${word} – Reelmill`;
  say(byId("state"), word);
  mark(byId("state"), state);
  show(byId("state"), true);
}

// ---- The last command ----

const OPEN = ["accepted", "queued", "running", "rebooting", "verifying"];

function drawCommand({ farm, taken_at }) {
  const command = farm?.last_command;
  show(byId("command"), Boolean(command));
  if (!command) return;
  const open = OPEN.includes(command.state);
  place(byId("command"), command.state !== "succeeded");
  say(byId("command-title"), open ? "Command in work" : "Last command");
  say(byId("command-state"), capital(plain(command.state)));
  mark(byId("command-state"), open ? "running" : command.state === "succeeded" ? "good" : "bad");
  say(byId("command-text"), joined(command.op, command.phase && `phase ${plain(command.phase)}`));
  show(byId("command-bar"), open);
  if (typeof command.percent === "number") byId("command-bar").value = command.percent;
  else byId("command-bar").removeAttribute("value");
  show(byId("command-why"), Boolean(command.why));
  say(byId("command-why"), command.why ?? "");
  const when = command.since ? ago(command.since, taken_at) : null;
  say(byId("command-about"), joined(when, command.by && `by ${command.by}`, command.id));
}

/** A command in work, or one that failed, stands before all else; one that is done lies with the other cards. */
function place(card, first) {
  const before = first ? byId("work") : byId("system-card");
  if (card.nextElementSibling !== before) before.before(card);
}

// ---- Curves ----

const CURVES = [
  ["celsius", "Temperature", "°C", { from: 20, to: 80, of: heatScale }],
  ["watts", "Power", "W", { from: 0, to: 5, of: powerScale }],
  ["encoder", "Encoders", "%", { from: 0, to: 100, of: encoders }],
  ["decoder", "Decoders", "%", { from: 0, to: 100, of: () => ({}) }],
  ["gpu", "GPU", "%", { from: 0, to: 100, of: ({ gpus }) => ({ about: gpuMemory(gpus) }) }],
  ["cpu", "Processors", "%", { from: 0, to: 100, of: processors }],
  ["memory", "Memory", "%", { from: 0, to: 100, of: memory }],
  ["disk", "Disk", "%", { from: 0, to: 100, of: fullest }],
].map(([column, title, unit, scale]) => ({ column, unit, scale, card: curveCard(title) }));
byId("curves").append(...CURVES.map(({ card }) => card.item));

function drawCurves(status) {
  for (const { column, unit, scale, card } of CURVES) {
    const at = columns.indexOf(column);
    const own = points.map((point) => [point[0], at < 0 ? null : (point[at] ?? null)]);
    drawCurve(card, own, { ...scale, ...scale.of(status), told: (value) => figure(value, unit) });
  }
}

function heatScale({ temperatures, gpus }) {
  const parts = [
    ...temperatures.map((part) => [part.celsius, part.name, part.critical_celsius]),
    ...gpus.filter((gpu) => gpu.temperature_celsius !== undefined).map((gpu) => [gpu.temperature_celsius, gpu.name]),
  ];
  const hottest = parts.reduce((a, b) => (a && a[0] >= b[0] ? a : b), null);
  if (!hottest) return {};
  const [, name, limit] = hottest;
  return { limit, to: limit ?? 80, about: joined(name, limit && `limit ${limit.toFixed(0)} °C`) };
}

function powerScale({ rails, gpus }) {
  if (rails.length > 0) return { about: "whole board" };
  const limit = gpus.reduce((sum, gpu) => sum + (gpu.power_limit_milliwatts ?? 0), 0) / 1000;
  return limit > 0 ? { to: limit, about: `GPU, limit ${figure(limit, "W")}` } : { about: "GPU" };
}

function encoders({ gpus, engines }) {
  const sessions = gpus.reduce((sum, gpu) => sum + (gpu.encoding?.sessions ?? 0), 0);
  if (gpus.some((gpu) => gpu.encoding)) return { about: sessions === 1 ? "1 session" : `${sessions} sessions` };
  const nvenc = engines.filter((engine) => engine.name.startsWith("nvenc"));
  return { about: nvenc.length === 1 ? "1 engine" : `${nvenc.length} engines, the busiest` };
}

function gpuMemory(gpus) {
  const [used, total] = ["memory_used_bytes", "memory_total_bytes"].map((key) => gpus.reduce((n, gpu) => n + (gpu[key] ?? 0), 0));
  return total > 0 ? `${bytes(used)} of ${bytes(total)}` : "shares the main memory";
}

function processors({ cpu }) {
  const on = cpu.cores.filter((core) => core.online).length;
  const cores = on < cpu.cores.length ? `${on} of ${cpu.cores.length} cores on` : on > 0 ? `${on} cores` : null;
  return { about: joined(cores, cpu.load && `load ${cpu.load.one.toFixed(1)}`) };
}

function memory({ memory, swap }) {
  const swapped = swap?.used_bytes > 0 ? `swap ${bytes(swap.used_bytes)}` : null;
  return memory ? { about: joined(`${bytes(memory.used_bytes)} of ${bytes(memory.total_bytes)}`, swapped) } : {};
}

function fullest({ disks }) {
  const used = (disk) => 1 - disk.available_bytes / disk.total_bytes;
  const written = disks.filter((disk) => !disk.read_only && disk.total_bytes > 0);
  const disk = written.reduce((a, b) => (a && used(a) >= used(b) ? a : b), null);
  return disk ? { about: `${bytes(disk.available_bytes)} left on ${disk.mount}` } : {};
}

// ---- All of it ----

function draw(status) {
  newest = status;
  takePoint(status.point);
  drawTop(status);
  drawCommand(status);
  drawCurves(status);
  show(byId("curves-section"), CURVES.some(({ card }) => !card.item.hidden));
  for (const part of PARTS) part(status);
  say(byId("taken"), `Reelmill ${status.node.reelmill}`);
}

function takePoint(figures) {
  if (columns.length === 0) columns = Object.keys(figures);
  const point = columns.map((column) => figures[column] ?? null);
  const before = points.at(-1)?.[0] ?? -1;
  // The agent started anew: what was before has another clock.
  if (point[0] < before) points = [];
  if (point[0] === before) return;
  points.push(point);
  points = points.filter(([seconds]) => seconds >= point[0] - 300);
}

// ---- The line to the agent ----

function liveMark(live) {
  const there = byId("live");
  show(there, true);
  there.classList.toggle("lost", !live);
  document.querySelector("main").classList.toggle("stale", !live);
  say(there, live ? "Live" : newest ? "The node does not answer" : "Waiting for the node");
  // What it was is not what it is.
  if (!live && newest) drawState(`Was: ${STATES[newest.state] ?? plain(newest.state)}`, "gone");
}

let source = null;
/** When something was last heard, by this machine's clock. */
let heard = Date.now();

/** A node without power says no farewell: after three looks that did not come, and some grace, the line is lost. */
function patience() {
  const gap = points.length > 1 ? points.at(-1)[0] - points.at(-2)[0] : 1;
  return 10_000 + 3000 * gap;
}

function stop() {
  source?.close();
  source = null;
}

function start() {
  if (source) return;
  source = new EventSource("/api/events");
  source.addEventListener("history", (event) => ({ columns, points } = JSON.parse(event.data)));
  source.addEventListener("status", (event) => {
    const status = JSON.parse(event.data);
    draw(status);
    heard = Date.now();
    liveMark(true);
  });
  source.addEventListener("error", () => {
    if (source?.readyState !== EventSource.CLOSED) return liveMark(false);
    // Refused: too many listen. Then the page asks now and again.
    stop();
    setTimeout(() => document.hidden || start(), 5000);
    return ask();
  });
}

async function ask() {
  try {
    const answer = await fetch("/api/status");
    if (!answer.ok) throw new Error(String(answer.status));
    draw(await answer.json());
    heard = Date.now();
    liveMark(true);
  } catch {
    liveMark(false);
  }
}

setInterval(() => {
  if (document.hidden || Date.now() - heard < patience()) return;
  liveMark(false);
  heard = Date.now();
  stop();
  start();
}, 2000);

// A page that nobody sees holds no line.
const seen = () => {
  heard = Date.now();
  return document.hidden ? stop() : start();
};
document.addEventListener("visibilitychange", seen);
window.addEventListener("pagehide", stop);
window.addEventListener("pageshow", seen);
start();
