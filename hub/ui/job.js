// One job: how it stands, and when it is done its player and what was made.

import { strip } from "./storyboard.js";
import { STATES, Refused, ask, bytes, duration, element, fileName, follow, letterAddress, liveMark, moment, percent, rate, say, show, timeLeft } from "./words.js";

const byId = (id) => document.getElementById(id);
const id = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const path = `/v1/jobs/${encodeURIComponent(id)}`;
const FINAL = ["done", "failed", "canceled"];

// ---- How it stands ----

function draw(job) {
  const name = fileName(job.input);
  const part = percent(job.progress);
  const share = job.state === "running" && part !== null ? `${Math.floor(part * 100)} %` : "";
  document.title = `${share ? `${share} · ` : ""}${name} – Reelmill`;
  say(byId("title"), name);
  say(byId("state"), STATES[job.state] ?? job.state);
  byId("state").dataset.state = job.state;
  show(byId("job"), true);
  drawProgress(job, part, share);
  drawFailure(job);
  const waits = job.state === "queued";
  say(byId("waiting-text"), job.attempt ? "Waiting to be tried again." : "Waiting for a worker to take it.");
  show(byId("waiting"), waits);
  drawDeeds(job);
  drawDetails(job);
  if (isLive(job) && job.state === "running" && job.progress?.frame > 0) watchLive();
  if (job.state === "done" && job.report) drawReport(job.report);
}

// ---- What can be done about it ----

/** The dead letters of this job, once it failed. */
let letters = [];

function drawDeeds(job) {
  const works = !FINAL.includes(job.state);
  show(byId("cancel"), works);
  if (works) letters = [];
  else if (job.state !== "done" && letters.length === 0) findLetters();
  drawRetry();
}

function drawRetry() {
  show(byId("retry"), letters.length > 0);
  show(byId("deeds"), !byId("cancel").hidden || !byId("retry").hidden || !byId("deed-trouble").hidden);
}

async function findLetters() {
  try {
    letters = (await ask(`/v1/dead-letters?job=${encodeURIComponent(id)}`)).dead_letters;
  } catch (error) {
    deedTrouble(error.message);
  }
  drawRetry();
}

function deedTrouble(text) {
  say(byId("deed-trouble"), text);
  show(byId("deed-trouble"), Boolean(text));
  drawRetry();
}

/** Does what a button says, once at a time, and then shows how the job stands. */
function onPress(name, deed) {
  const button = byId(name);
  button.addEventListener("click", async () => {
    button.disabled = true;
    deedTrouble("");
    try {
      await deed();
      await begin();
    } catch (error) {
      deedTrouble(error.message);
    } finally {
      button.disabled = false;
    }
  });
}

onPress("cancel", async () => {
  if (confirm("Cancel this job? What was made of it is thrown away.")) await ask(`${path}/cancel`, { method: "POST" });
});
onPress("retry", async () => {
  for (const letter of letters) await ask(`${letterAddress(letter)}/retry`, { method: "POST" });
  letters = [];
});

/** Whether a job's source is live, so that there is something to see while it runs. */
function isLive(job) {
  return /^(srt|rtmp|rtsp):/.test(job.input);
}

function drawProgress(job, part, share) {
  show(byId("working"), job.state === "running");
  if (job.state !== "running") return;
  if (part === null) byId("bar").removeAttribute("value");
  else byId("bar").value = part;
  say(byId("percent"), share);
  const progress = job.progress;
  const frames = (n) => n.toLocaleString();
  const of = progress?.frames_expected ? ` of ${frames(progress.frames_expected)}` : "";
  say(byId("frame"), progress ? `${frames(progress.frame)}${of}` : "–");
  say(byId("fps"), progress ? progress.fps.toFixed(progress.fps < 10 ? 1 : 0) : "–");
  say(byId("speed"), progress ? `${progress.speed.toFixed(2)} ×` : "–");
  say(byId("eta"), timeLeft(progress?.eta_seconds));
}

function drawFailure(job) {
  const failure = job.failure;
  show(byId("failure"), Boolean(failure));
  if (!failure) return;
  const over = job.state === "failed";
  byId("failure").classList.toggle("past", !over);
  say(byId("failure-title"), over ? "Why it failed" : "What went wrong with the attempt before");
  say(byId("reason"), failure.message);
  byId("advice").replaceChildren(...withCode(failure.hint ?? ""));
  show(byId("advice"), Boolean(failure.hint));
}

/** Text whose parts between backticks are commands. */
function withCode(text) {
  return text.split("`").map((part, i) => (i % 2 ? element("code", {}, part) : part));
}

function drawDetails(job) {
  const report = job.report;
  const mono = "mono";
  const rows = [
    ["Source", job.input, mono],
    ["Output", job.output, mono],
    ["Preset", job.preset],
    ["Priority", job.priority],
    ["Job", job.id, mono],
    ["Submitted", moment(job.created_at)],
    ["Last change", moment(job.updated_at)],
    ["Attempt", job.attempt ? String(job.attempt) : "none yet"],
    ["Node", report?.node],
    ["Engine", report?.engine],
    ["Source length", report?.source.duration_seconds && duration(report.source.duration_seconds)],
    ["Source size", report && bytes(report.source.bytes)],
    ["Encoding took", report && `${duration(report.timings.encode_seconds)}, ${report.timings.speed.toFixed(2)} × as fast as it plays`],
  ];
  const shown = rows.filter(([, value]) => value);
  byId("details").replaceChildren(
    ...shown.flatMap(([name, value, className = ""]) => [element("dt", {}, name), element("dd", { className }, value)]),
  );
}

// ---- What was made ----

let reported = false;

function drawReport(report) {
  if (reported) return;
  reported = true;
  byId("renditions").replaceChildren(...report.renditions.map(row));
  show(byId("made"), true);
  listOf("changes", report.changes);
  listOf("checks", report.checks);
  show(byId("notes"), report.changes.length + report.checks.length > 0);
  show(byId("stage"), true);
  const files = report.renditions.filter((rendition) => rendition.track === "file");
  if (files.length > 0) offerFiles(files);
  // A live job's player is there already, and learns of the end by itself.
  else if (!watching) play(report);
}

function listOf(name, lines) {
  byId(name).replaceChildren(...lines.map((line) => element("li", {}, line)));
  show(byId(`${name}-card`), lines.length > 0);
}

function row(rendition) {
  const cell = (label, text, className = "") => element("td", { className, "data-label": label }, text);
  const made = element(
    "tr",
    {},
    element("th", { scope: "row" }, rendition.track === "file" ? download(rendition) : rendition.name),
    cell("Picture or sound", track(rendition)),
    cell("Codec", rendition.codecs, "mono"),
    cell("Average", rate(rendition.average_bps), "number"),
    cell("Peak", rate(rendition.peak_bps), "number"),
    cell("Segments", rendition.track === "file" ? "one file" : rendition.segments.toLocaleString(), "number"),
    cell("Size", bytes(rendition.bytes), "number"),
  );
  made.dataset.name = rendition.name;
  return made;
}

function track(rendition) {
  if (rendition.track === "audio") {
    const channels = { 1: "mono", 2: "stereo" }[rendition.channels] ?? `${rendition.channels} channels`;
    const words = [channels, `${(rendition.sample_rate / 1000).toLocaleString()} kHz`, rendition.language];
    return words.filter(Boolean).join(", ");
  }
  if (rendition.track === "text") {
    const kind = rendition.forced ? "forced subtitles" : rendition.hearing_impaired ? "subtitles with sounds" : "subtitles";
    return [kind, rendition.language, `${rendition.samples.toLocaleString()} lines`].filter(Boolean).join(", ");
  }
  const picture = `${rendition.width} × ${rendition.height}, ${frameRate(rendition.frame_rate)} fps`;
  const sounds = rendition.sounds?.length ?? 0;
  const words = [picture, sounds && `${sounds} ${sounds === 1 ? "audio track" : "audio tracks"}`, rendition.timecode];
  return words.filter(Boolean).join(", ");
}

function frameRate(rational) {
  const [num, den] = rational.split("/").map(Number);
  return String(Math.round((num / (den || 1)) * 100) / 100);
}

// ---- Single files ----

function fileAddress(rendition) {
  return `${path}/output/${rendition.path.split("/").map(encodeURIComponent).join("/")}`;
}

function download(rendition) {
  const name = rendition.path.split("/").pop();
  return element("a", { href: fileAddress(rendition), download: name }, name);
}

/** Links to each; the first that browsers know how to play is played as it is. */
function offerFiles(files) {
  const video = byId("player");
  const playable = files.find((file) => file.path.endsWith(".mp4"));
  if (playable) {
    video.style.aspectRatio = `${playable.width} / ${playable.height}`;
    video.src = fileAddress(playable);
  }
  show(video, Boolean(playable));
  show(byId("under"), false);
  byId("files").replaceChildren(...files.map((file) => element("li", {}, "Download ", download(file), `, ${bytes(file.bytes)}`)));
  show(byId("files"), true);
}

// ---- The player ----

function playerTrouble(text) {
  say(byId("player-trouble"), text);
  show(byId("player-trouble"), Boolean(text));
}

function loadHls() {
  return new Promise((resolve, reject) => {
    const failed = () => reject(new Error("The player could not be loaded.\nReload the page to try again."));
    const script = element("script", { src: "/ui/hls.min.js" });
    script.addEventListener("load", () => resolve(window.Hls));
    script.addEventListener("error", failed);
    document.head.append(script);
  });
}

let watching = false;

/** Shows a live job as soon as it has published something. */
async function watchLive() {
  if (watching) return;
  watching = true;
  while (!(await fetch(`${path}/output/master.m3u8`, { method: "HEAD" }).catch(() => ({}))).ok) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  show(byId("stage"), true);
  show(byId("or-dash"), false);
  play({ renditions: [] }, LIVE);
}

/** A segment and a half behind the last one: hls.js adds up to one more after outages, and it must never be more than three. */
const LIVE = { liveSyncDurationCount: 1.5, liveMaxLatencyDurationCount: 3, maxLiveSyncPlaybackRate: 1.2 };

async function play(report, options = {}) {
  const source = `${path}/output/master.m3u8`;
  const video = byId("player");
  byId("hls").href = source;
  byId("dash").href = `${path}/output/manifest.mpd`;
  const size = report.renditions.find((rendition) => rendition.track === "video");
  if (size && size.height > size.width) video.style.aspectRatio = `${size.width} / ${size.height}`;
  // The player can do without them.
  if (report.storyboard) strip(byId("strip"), video, `${path}/output/${report.attempt}/storyboard`).catch(console.warn);
  try {
    const Hls = await loadHls();
    if (Hls.isSupported()) {
      start(Hls, video, source, report, options);
    } else if (video.canPlayType("application/vnd.apple.mpegurl")) {
      // The browser plays it by itself, and chooses the quality by itself.
      video.src = source;
      byId("quality").disabled = true;
    } else {
      playerTrouble("This browser can play neither HLS nor Media Source Extensions.");
    }
  } catch (error) {
    playerTrouble(error.message);
  }
}

function start(Hls, video, source, report, options) {
  const hls = new Hls({ capLevelToPlayerSize: true, ...options });
  window.reelmillPlayer = hls;
  hls.on(Hls.Events.MANIFEST_PARSED, () => offerQualities(hls));
  hls.on(Hls.Events.SUBTITLE_TRACKS_UPDATED, (_, { subtitleTracks }) => offerSubtitles(hls, subtitleTracks));
  hls.on(Hls.Events.LEVEL_SWITCHED, (_, { level }) => tellPlaying(hls, level, report));
  hls.on(Hls.Events.ERROR, (_, error) => {
    if (!error.fatal) return;
    if (error.type === Hls.ErrorTypes.MEDIA_ERROR && !video.dataset.recovered) {
      video.dataset.recovered = "once";
      hls.recoverMediaError();
      return;
    }
    playerTrouble(`The player stopped: ${error.details}.\nReload the page to try again.`);
  });
  hls.loadSource(source);
  hls.attachMedia(video);
}

function offerQualities(hls) {
  const select = byId("quality");
  const options = pictures(hls).sort((a, b) => b.level.bitrate - a.level.bitrate);
  select.replaceChildren(
    element("option", { value: "auto" }, "Auto"),
    ...options.map(({ level, index }) => element("option", { value: String(index) }, levelName(level))),
  );
  select.addEventListener("change", () => {
    // At the next segment, not at once: the picture never stands still for it.
    const chosen = select.value === "auto" ? -1 : Number(select.value);
    hls.nextLevel = chosen;
    const next = hls.levels[chosen];
    if (next) say(byId("playing"), `Changing to ${levelName(next)} …`);
  });
}

/** Each picture once: levels that differ only in the sound beside them have the same one. */
function pictures(hls) {
  const all = hls.levels.map((level, index) => ({ level, index }));
  return all.filter(({ level, index }) => all.findIndex((other) => other.level.url[0] === level.url[0]) === index);
}

function offerSubtitles(hls, tracks) {
  const select = byId("subtitles");
  const options = tracks.map((track, index) => element("option", { value: String(index) }, track.name));
  select.replaceChildren(element("option", { value: "-1" }, "Off"), ...options);
  select.onchange = () => {
    hls.subtitleDisplay = true;
    hls.subtitleTrack = Number(select.value);
  };
  show(byId("subtitles-field"), tracks.length > 0);
}

function levelName(level) {
  const lines = Math.min(level.width, level.height) || level.height;
  return `${lines}p · ${rate(level.bitrate)}`;
}

function tellPlaying(hls, index, report) {
  const level = hls.levels[index];
  if (!level) return;
  say(byId("playing"), `Playing ${levelName(level)}`);
  const made = report.renditions.find((r) => r.track === "video" && r.width === level.width && r.height === level.height);
  for (const line of byId("renditions").children) line.classList.toggle("playing", line.dataset.name === made?.name);
}

// ---- Live ----

function trouble(text) {
  say(byId("trouble"), text);
  show(byId("trouble"), Boolean(text));
}

let stop = null;

async function begin() {
  stop?.();
  try {
    draw(await ask(path));
  } catch (error) {
    const none = error instanceof Refused && error.status === 404;
    trouble(none ? "There is no job of this address.\nIt may belong to another hub, or its address is incomplete." : error.message);
    if (none) return;
  }
  if (FINAL.includes(byId("state").dataset.state)) return;
  stop = follow(`${path}/events`, {
    opened: () => {
      trouble("");
      liveMark("live");
    },
    job: (job) => {
      draw(job);
      if (FINAL.includes(job.state)) {
        stop();
        liveMark("none");
      }
    },
    lost: () => liveMark("lost"),
  });
}

begin();
