// The list of jobs, and the form for a new one.

import { STATES, ago, ask, bytes, element, fileName, follow, liveMark, percent, say, show, timeLeft, understood } from "./words.js";

const byId = (id) => document.getElementById(id);
const list = byId("jobs");
/** How many jobs are shown. */
const SHOWN = 50;
/** By job id: the job and its row's parts. */
const rows = new Map();

// ---- The list ----

function newRow(job) {
  const parts = {
    name: element("span", { className: "name" }),
    state: element("span", { className: "state" }),
    bar: element("progress", { max: 1, "aria-label": "Progress" }),
    about: element("span", { className: "about" }),
  };
  const link = element("a", { href: `/jobs/${encodeURIComponent(job.id)}` }, parts.name, parts.state, parts.bar, parts.about);
  return { ...parts, item: element("li", {}, link) };
}

function about(job) {
  if (job.state === "failed" && job.failure) return job.failure.message;
  const words = [job.preset, ago(job.created_at)];
  if (job.state === "running" && job.progress) {
    const part = percent(job.progress);
    if (part !== null) words.unshift(`${Math.round(part * 100)} %`);
    if (job.progress.eta_seconds !== undefined) words.unshift(`${timeLeft(job.progress.eta_seconds)} left`);
  }
  if (job.state === "queued" && job.failure) words.unshift(job.attempt ? `will be tried again after attempt ${job.attempt}` : "will be tried again");
  return words.join(" · ");
}

function draw(job, row) {
  say(row.name, fileName(job.input));
  row.name.title = job.input;
  say(row.state, STATES[job.state] ?? job.state);
  row.state.dataset.state = job.state;
  show(row.bar, job.state === "running");
  const part = percent(job.progress);
  if (part === null) row.bar.removeAttribute("value");
  else row.bar.value = part;
  say(row.about, about(job));
  row.about.classList.toggle("why", job.state === "failed");
}

function upsert(job) {
  const known = rows.get(job.id);
  const row = known?.row ?? newRow(job);
  rows.set(job.id, { job, row });
  draw(job, row);
  if (!known) {
    // Newest first; ids drawn by the hub and times of admission agree on the order.
    const after = [...list.children].find((item) => rows.get(item.dataset.id)?.job.created_at <= job.created_at);
    row.item.dataset.id = job.id;
    list.insertBefore(row.item, after ?? null);
    while (list.children.length > SHOWN) {
      rows.delete(list.lastElementChild.dataset.id);
      list.lastElementChild.remove();
    }
  }
  show(byId("empty"), rows.size === 0);
}

async function refresh() {
  try {
    const { jobs } = await ask(`/v1/jobs?limit=${SHOWN}`);
    show(byId("trouble"), false);
    for (const job of jobs.reverse()) upsert(job);
    show(byId("empty"), rows.size === 0);
  } catch (error) {
    say(byId("trouble"), error.message);
    show(byId("trouble"), true);
  }
}

follow("/v1/events", {
  opened: () => {
    liveMark("live");
    refresh();
  },
  job: upsert,
  lost: () => liveMark("lost"),
});
refresh();
setInterval(() => rows.forEach(({ job, row }) => draw(job, row)), 30_000);

// ---- A new job ----

const form = byId("new");
const drop = byId("drop");
const invitation = [...byId("chosen").childNodes];
let chosen = null;

function choose(file) {
  chosen = file ?? null;
  const told = chosen ? [element("strong", {}, chosen.name), ` ${bytes(chosen.size)}`] : invitation;
  byId("chosen").replaceChildren(...told);
  if (chosen) byId("location").value = "";
  show(byId("refused"), false);
}

byId("file").addEventListener("change", (event) => choose(event.target.files[0]));
for (const name of ["dragenter", "dragover"]) {
  form.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
form.addEventListener("dragleave", (event) => {
  if (!form.contains(event.relatedTarget)) drop.classList.remove("over");
});
form.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  choose(event.dataTransfer.files[0]);
});
// A file that misses the form must not replace the page.
for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());

async function loadPresets() {
  const { presets } = await ask("/v1/presets");
  const select = byId("preset");
  select.replaceChildren(...presets.map((preset) => element("option", { value: preset.name }, preset.name)));
  const tell = () => say(byId("about"), presets.find((preset) => preset.name === select.value)?.description ?? "");
  select.addEventListener("change", tell);
  tell();
}

/** Sends the file; `fetch` cannot tell how far an upload is. */
function upload(file, told) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `/v1/uploads/${encodeURIComponent(file.name || "source")}`);
    request.upload.addEventListener("progress", (event) => told(event.loaded, file.size));
    request.addEventListener("error", () => reject(new Error("The upload broke off.\nIs the hub running? Try it again.")));
    request.addEventListener("load", () => {
      try {
        resolve(understood(request.status, request.responseText).location);
      } catch (error) {
        reject(error);
      }
    });
    request.send(file);
  });
}

function sending(loaded, total) {
  byId("sent").value = total ? loaded / total : 1;
  const text = loaded < total ? `Uploading: ${bytes(loaded)} of ${bytes(total)}` : "Storing …";
  say(byId("sending-text"), text);
}

async function submit() {
  const typed = byId("location").value.trim();
  if (!chosen && !typed) throw new Error("Choose a video first.");
  let input = typed;
  if (chosen) {
    show(byId("sending"), true);
    sending(0, chosen.size);
    input = await upload(chosen, sending);
  }
  const body = JSON.stringify({ input, preset: byId("preset").value });
  const job = await ask("/v1/jobs", { method: "POST", headers: { "content-type": "application/json" }, body });
  location.assign(`/jobs/${encodeURIComponent(job.id)}`);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  show(byId("refused"), false);
  byId("submit").disabled = true;
  try {
    await submit();
  } catch (error) {
    say(byId("refused"), error.message);
    show(byId("refused"), true);
  } finally {
    byId("submit").disabled = false;
    show(byId("sending"), false);
  }
});

loadPresets().catch((error) => {
  say(byId("refused"), error.message);
  show(byId("refused"), true);
});
