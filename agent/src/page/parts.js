// The cards below the curves: tasks, encoders, temperatures, power, disks, services, the system and its errors.

import { ago, byId, bytes, capital, duration, element, figure, fileName, fill, joined, mark, plain, rate, say, show, terms } from "./words.js";

// ---- Tasks ----

function newTask() {
  const bar = element("progress", { max: 1, "aria-label": "Progress" });
  const name = element("span", { className: "name" });
  return element("li", { className: "task" }, name, element("span", { className: "percent" }), bar, element("p", { className: "hint" }));
}

function drawTask(item, { input, preset, attempt, progress }) {
  const [name, percent, bar, about] = item.children;
  say(name, fileName(input));
  name.title = input;
  const part = progress.frames_expected ? Math.min(1, progress.frame / progress.frames_expected) : null;
  say(percent, part === null ? "" : `${Math.floor(part * 100)} %`);
  if (part === null) bar.removeAttribute("value");
  else bar.value = part;
  const left = typeof progress.eta_seconds === "number" ? `about ${duration(progress.eta_seconds)} left` : null;
  const frame = part === null ? `frame ${progress.frame}` : null;
  const again = attempt > 1 ? `attempt ${attempt}` : null;
  say(about, joined(preset, `${figure(progress.fps, "fps")} (${progress.speed.toFixed(2)} ×)`, frame, left, again));
}

function work({ worker, absent }) {
  const running = worker?.running ?? [];
  fill(byId("tasks"), running, newTask, drawTask);
  const since = worker ? `${worker.published} published, ${worker.failed} failed since it started` : null;
  const places = worker ? `${running.length} running` : null;
  const sessions = worker ? `${worker.concurrency} encoder session${worker.concurrency === 1 ? "" : "s"}` : null;
  say(byId("work-about"), joined(places, sessions, worker?.engines.join(", "), since));
  show(byId("idle"), running.length === 0);
  const why = absent.find(({ source }) => source === "worker")?.why;
  const silent = why ? `The worker is silent: ${why}.` : "The worker is silent.";
  const waits = {
    draining: "Nothing, and no more will be taken.",
    paused: "Nothing. All lanes of the worker are paused.",
  }[worker?.state] ?? "Nothing. The worker waits for tasks.";
  say(byId("idle"), worker ? waits : silent);
}

// ---- Rows: a name, a figure, perhaps a gauge and a line of words ----

function newRow() {
  const [name, value] = [element("span", { className: "name" }), element("span", { className: "value" })];
  return element("li", { className: "row" }, name, value, element("div", { className: "gauge" }), element("p", { className: "hint" }));
}

/** Draws a card of rows, each `{name, value, state, part, about}`; without rows there is no card. */
function rows(id, items) {
  show(byId(`${id}-card`), items.length > 0);
  fill(byId(id), items, newRow, (row, item) => {
    const [name, value, gauge, about] = row.children;
    say(name, item.name);
    say(value, item.value ?? "");
    mark(value, item.state);
    mark(gauge, item.state);
    show(gauge, typeof item.part === "number");
    gauge.style.setProperty("--part", String(Math.max(0, Math.min(100, item.part ?? 0))));
    show(about, Boolean(item.about));
    say(about, item.about ?? "");
  });
}

const percent = (value) => (value === undefined ? undefined : figure(value, "%"));
const mhz = (value) => (value === undefined ? null : `${value} MHz`);

function gpus({ gpus, engines, worker }) {
  // A Jetson tells of its engines one by one.
  const alone = engines.length === 0;
  const told = gpus.flatMap((gpu) => [
    { name: gpu.name || `GPU ${gpu.index}`, value: percent(gpu.utilisation_percent), part: gpu.utilisation_percent, about: gpuWords(gpu) },
    ...(gpu.encoder_percent === undefined || !alone ? [] : [{ name: "Encoders", value: percent(gpu.encoder_percent), part: gpu.encoder_percent, about: sessionWords(gpu.encoding) }]),
    ...(gpu.decoder_percent === undefined || !alone ? [] : [{ name: "Decoders", value: percent(gpu.decoder_percent), part: gpu.decoder_percent }]),
  ]);
  const off = engines.filter((engine) => !engine.on).map((engine) => engine.name.toUpperCase());
  const own = engines.filter((engine) => engine.on).map((engine) => ({
    name: engine.name.toUpperCase(),
    value: percent(engine.percent) ?? mhz(engine.mhz) ?? "on",
    part: engine.percent,
    about: engine.percent === undefined ? null : mhz(engine.mhz),
  }));
  if (off.length > 0) own.push({ name: off.join(", "), value: "off" });
  const software = told.length + own.length === 0 && worker ? [{ name: "Software", value: "in use", about: worker.engines.join(", ") }] : [];
  rows("gpus", [...told, ...own, ...software]);
}

function gpuWords(gpu) {
  const throttled = gpu.throttled?.length ? `held down by ${gpu.throttled.map(plain).join(", ")}` : null;
  const memory = gpu.memory_total_bytes ? `${bytes(gpu.memory_used_bytes ?? 0)} of ${bytes(gpu.memory_total_bytes)}` : null;
  return joined(mhz(gpu.clock_mhz), memory, throttled, gpu.driver && `driver ${gpu.driver}`);
}

function sessionWords(encoding) {
  if (!encoding) return null;
  const each = encoding.each.map((s) => `${s.codec} ${s.width}×${s.height} at ${s.fps} fps, ${(s.latency_microseconds / 1000).toFixed(1)} ms`);
  const count = `${encoding.sessions} ${encoding.sessions === 1 ? "session" : "sessions"}`;
  return joined(count, ...(each.length > 0 ? each : [encoding.average_fps && `${encoding.average_fps} fps each`]));
}

function heat({ temperatures, drives, gpus, hot }) {
  const driven = drives.filter((drive) => drive.temperature_celsius !== undefined && !temperatures.some(({ name }) => name === drive.name));
  const measured = gpus.filter((gpu) => gpu.temperature_celsius !== undefined);
  const parts = [...temperatures, ...[...driven, ...measured].map(({ name, temperature_celsius: celsius }) => ({ name, celsius }))];
  rows("heat", parts.sort((a, b) => b.celsius - a.celsius).map(({ name, celsius, critical_celsius: limit }) => ({
    name,
    value: limit === undefined ? figure(celsius, "°C") : `${celsius.toFixed(1)} of ${figure(limit, "°C")}`,
    state: hot.includes(name) ? "hot" : null,
    part: (celsius / (limit ?? 100)) * 100,
  })));
}

function power({ rails, fans, gpus }) {
  const watts = (milliwatts) => (milliwatts === undefined ? undefined : figure(milliwatts / 1000, "W"));
  const told = rails.map((rail) => ({
    name: rail.name,
    value: watts(rail.milliwatts) ?? "–",
    state: rail.over_current ? "bad" : null,
    about: joined(rail.over_current && "over its limit", rail.average_milliwatts !== undefined && `average ${watts(rail.average_milliwatts)}`),
  }));
  const cards = gpus.filter((gpu) => gpu.power_milliwatts !== undefined).map((gpu) => ({
    name: gpu.name,
    value: watts(gpu.power_milliwatts),
    part: gpu.power_limit_milliwatts ? (gpu.power_milliwatts / gpu.power_limit_milliwatts) * 100 : undefined,
    about: gpu.power_limit_milliwatts ? `limit ${watts(gpu.power_limit_milliwatts)}` : null,
  }));
  const blown = gpus.filter((gpu) => gpu.fan_percent !== undefined).map((gpu) => ({ name: `Fan of ${gpu.name}`, percent: gpu.fan_percent }));
  const turning = [...fans, ...blown].map(({ name, rpm, percent: driven }) => ({
    name,
    value: rpm === undefined ? (percent(driven) ?? "–") : `${rpm} rpm`,
    about: rpm === undefined || driven === undefined ? null : `driven at ${percent(driven)}`,
  }));
  rows("power", [...told, ...cards, ...turning]);
}

function disks({ disks, drives, scarce }) {
  const mounted = disks.map((disk) => {
    const used = disk.total_bytes ? (1 - disk.available_bytes / disk.total_bytes) * 100 : 0;
    const about = joined(disk.filesystem, disk.device, disk.read_only && "read only");
    return { name: disk.mount, value: `${bytes(disk.available_bytes)} of ${bytes(disk.total_bytes)} left`, part: used, state: scarce.includes(disk.mount) ? "bad" : null, about };
  });
  const healthy = drives.map((drive) => {
    const complaints = [drive.spare_low && "spare blocks run out", drive.errors && `${drive.errors} failed requests`, drive.filesystem_errors && `${drive.filesystem_errors} errors of file systems`];
    const bad = complaints.some(Boolean) || (drive.state && !["live", "running"].includes(drive.state));
    const life = drive.life_used_percent === undefined ? null : `${drive.life_used_percent} % of its life used`;
    return { name: drive.name, value: bad ? "not well" : "well", state: bad ? "bad" : null, about: joined(drive.model, drive.state, life, ...complaints.filter(Boolean)) };
  });
  rows("disks", [...mounted, ...healthy]);
}

function units({ units, taken_at }) {
  rows("units", units.map((unit) => ({
    name: unit.name,
    value: unit.active_state,
    state: unit.active_state === "failed" ? "bad" : null,
    about: joined(
      unit.sub_state !== unit.active_state ? unit.sub_state : null,
      unit.result && `ended by ${unit.result}`,
      unit.since && `since ${ago(unit.since, taken_at).replace(/ ago$/, "")}`,
      unit.restarts ? `${unit.restarts} restarts` : null,
      unit.memory_bytes === undefined ? null : bytes(unit.memory_bytes),
    ),
  })));
}

// ---- The system, its errors, and what is not known ----

function system({ node, os, cpu, networks, farm, time_synchronised: synchronised }) {
  const switched = os.system && os.booted_system && os.system !== os.booted_system;
  const lines = networks.filter(({ up, addresses }) => up !== false || addresses.length > 0);
  const broker = farm?.broker;
  terms(byId("system"), [
    ["Generation", os.generation === undefined ? null : joined(String(os.generation), switched && "switched to since the last boot")],
    ["System", os.system, "mono"],
    ["Runs", joined(os.name, os.kernel && `Linux ${os.kernel}`)],
    ["Board", joined(node.board.module, node.board.l4t && `Jetson Linux ${node.board.l4t}`, node.board.firmware && `firmware ${node.board.firmware}`)],
    ["Serial number", node.board.serial, "mono"],
    ["Processor", cpu.model],
    ["Broker", broker && joined(broker.address, broker.connected ? "connected" : "no line")],
    ["Network", lines.map((line) => joined(line.name, line.addresses.join(", ") || null, line.mbit_per_second && rate(line.mbit_per_second))).join("\n")],
    ["Clock", synchronised === undefined ? null : synchronised ? "kept by a time server" : "not kept by a time server"],
  ]);
  show(byId("system-card"), byId("system").children.length > 0);
}

function newError() {
  return element("li", {}, element("p", { className: "hint" }), element("p", { className: "message mono" }));
}

function errors({ journal, taken_at }) {
  show(byId("errors-card"), Boolean(journal));
  show(byId("no-errors"), journal?.length === 0);
  fill(byId("errors"), journal ?? [], newError, (item, { time, unit, message }) => {
    say(item.children[0], joined(ago(time, taken_at), unit));
    say(item.children[1], message);
  });
}

function absent({ absent, unknown = [] }) {
  const told = absent.map(({ source, why }) => [source, capital(why)]);
  if (unknown.length > 0) told.push(["tegrastats", `These words of it are not known: ${unknown.join(" ")}`]);
  show(byId("absent-card"), told.length > 0);
  terms(byId("absent"), told);
}

/** Each draws its card from a status. */
export const PARTS = [work, gpus, heat, power, disks, units, system, errors, absent];
