// node text.mjs MASTER TRACK=SRT [TRACK=SRT ...] [FOLDER]: plays a ladder that lies in a folder with hls.js in Chromium, once
// for each of its subtitle tracks, and compares what is on screen with the lines of the SubRip file that TRACK (the
// number of a track, from 0) was made from. Takes a screenshot of the first line of each into FOLDER. Exits 0 if nothing
// can be said against it.

import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, listen, step } from './browser.mjs';
import { cueComplaints, lines } from './cues.mjs';

const PLAYER = fileURLToPath(new URL('../../hub/ui/node_modules/hls.js/dist/hls.min.js', import.meta.url));
/** An address of nobody's, answered from the folder. */
const PLACE = 'http://ladder.test/';
const PAGE = `<!doctype html><html lang="en"><title>Subtitles</title><link rel="icon" href="data:,">
<style>body { margin: 0; background: #222 } video { width: 960px; display: block }</style>
<video id="player" muted playsinline></video></html>`;
const TYPES = { m3u8: 'application/vnd.apple.mpegurl', mp4: 'video/mp4', m4s: 'video/iso.segment', vtt: 'text/vtt' };
const END_MS = 120_000;

const [master, ...more] = process.argv.slice(2);
const tracks = more.filter((word) => word.includes('=')).map((word) => word.split('='));
const folder = more.find((word) => !word.includes('='));
if (!master || tracks.length === 0) {
  console.error('error: a ladder and a track are wanted\nhint: node text.mjs out/master.m3u8 0=english.srt [FOLDER]');
  process.exit(2);
}

const browser = await launch();
const found = [];
try {
  for (const [track, srt] of tracks) {
    const wanted = lines(await readFile(srt, 'utf8'));
    const record = await play(Number(track), wanted[0]);
    found.push(...record.errors, ...cueComplaints(`track ${track} (${record.name})`, wanted, record.samples));
    console.log(`${master}: track ${track} (${record.name}): ${wanted.length} lines, looked ${record.samples.length} times`);
  }
} catch (error) {
  found.push(error.message);
} finally {
  await browser.close();
}
for (const complaint of found) console.error(`error: ${complaint}`);
process.exitCode = found.length > 0 ? 1 : 0;

async function play(track, first) {
  const page = await browser.newPage({ viewport: { width: 960, height: 540 } });
  const record = listen(page, PLACE);
  await page.route(`${PLACE}**`, answer);
  await page.goto(PLACE);
  await page.addScriptTag({ path: PLAYER });
  try {
    record.name = await step('the ladder could not be opened', () => page.evaluate(open, [`${PLACE}${basename(master)}`, track]), record);
    if (folder) await picture(page, track, (first.start + first.end) / 2);
    await page.evaluate(watch);
    const ended = () => page.waitForFunction(() => window.seen.ended, undefined, { timeout: END_MS });
    await step('the ladder did not play to its end', ended, record);
    record.samples = await page.evaluate(() => window.seen.samples);
    return record;
  } finally {
    await page.close();
  }
}

function basename(path) {
  return path.split('/').pop();
}

/** Answers from the ladder's folder. */
async function answer(route) {
  const path = decodeURIComponent(new URL(route.request().url()).pathname.slice(1));
  if (path === '') return route.fulfill({ contentType: 'text/html', body: PAGE });
  const body = await readFile(resolve(join(dirname(master), path))).catch(() => undefined);
  if (!body) return route.fulfill({ status: 404, body: '' });
  return route.fulfill({ contentType: TYPES[path.split('.').pop()] ?? 'application/octet-stream', body });
}

/** In the page: opens the ladder with one of its subtitle tracks; the track's name. */
function open([source, track]) {
  return new Promise((resolve, reject) => {
    const video = document.querySelector('#player');
    const hls = new window.Hls();
    window.player = hls;
    hls.on(window.Hls.Events.ERROR, (_, error) => error.fatal && reject(new Error(error.details)));
    // Once hls.js has chosen for itself: its choice would undo ours.
    const choose = () => {
      hls.subtitleDisplay = true;
      hls.subtitleTrack = track;
    };
    hls.on(window.Hls.Events.SUBTITLE_TRACKS_UPDATED, () => setTimeout(choose));
    hls.on(window.Hls.Events.SUBTITLE_FRAG_PROCESSED, () => resolve(hls.subtitleTracks[track].name));
    hls.loadSource(source);
    hls.attachMedia(video);
  });
}

/** Stands still in the middle of a line, and goes back to the beginning. */
async function picture(page, track, at) {
  const go = (time) => page.evaluate((to) => new Promise((resolve) => {
    const video = document.querySelector('#player');
    video.addEventListener('seeked', () => setTimeout(resolve, 500), { once: true });
    video.currentTime = to;
  }), time);
  await go(at);
  await page.screenshot({ path: join(folder, `subtitles-${track}.png`) });
  await go(0);
}

/** In the page: plays from the beginning, and notes what is on screen with each picture. */
function watch() {
  const video = document.querySelector('#player');
  window.seen = { samples: [], ended: false };
  const look = () => {
    const shown = [...video.textTracks].filter(({ mode }) => mode === 'showing');
    const texts = shown.flatMap(({ activeCues }) => [...(activeCues ?? [])].map((cue) => cue.getCueAsHTML().textContent));
    window.seen.samples.push({ time: video.currentTime, texts });
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  video.addEventListener('ended', () => (window.seen.ended = true), { once: true });
  return video.play();
}
