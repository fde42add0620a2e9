// node play.mjs PAGE [FOLDER]: opens the page of a finished job in Chromium, plays its ladder to the end, switches the
// quality once by the page's own control, and takes screenshots into FOLDER. Exits 0 if nothing can be said against it.
//
// What the page offers: video#player, select#quality (auto, 0, 1, ...), and its hls.js as window.reelmillPlayer.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, listen, step } from './browser.mjs';
import { complaints } from './verdict.mjs';

const WATCH = fileURLToPath(new URL('watch.js', import.meta.url));
/** A phone's and a desk's width. */
const WIDTHS = [390, 1280];
/** When the quality is switched, in seconds: hls.js prepares such a switch more than a second ahead. */
const SWITCH_AT = 0.5;
const READY_MS = 30_000;
const END_MS = 120_000;

const [address, folder] = process.argv.slice(2);
if (!address) {
  console.error('error: the address of a job\'s page is wanted\nhint: node play.mjs http://HUB/jobs/UUID [FOLDER]');
  process.exit(2);
}

const browser = await launch();
try {
  const record = await play(await browser.newPage());
  const found = complaints(record);
  for (const complaint of found) console.error(`error: ${complaint}`);
  process.exitCode = found.length > 0 ? 1 : 0;
  if (found.length === 0) console.log(summary(record));
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}

/** Plays the page's video from beginning to end and records what was seen. */
async function play(page) {
  const record = listen(page, address);
  // A page whose script dies will never be ready: there is nothing to wait for.
  const dies = new Promise((_, reject) => page.once('pageerror', (error) => reject(error)));
  dies.catch(() => {});
  await page.addInitScript({ path: WATCH });
  await page.goto(address);
  await step('the page never offered a #player, a #quality and window.reelmillPlayer with more than one level', () =>
    Promise.race([page.waitForFunction(isReady, undefined, { timeout: READY_MS }), dies]), record);
  await page.evaluate(() => window.reelmillWatch.play(document.querySelector('#player')));
  await step('the video did not start to play', () => reaches(page, SWITCH_AT));
  await switchQuality(page, record);
  await step('the video did not play to its end', () =>
    page.waitForFunction(() => window.reelmillWatch.ended, undefined, { timeout: END_MS }), record);
  Object.assign(record, await page.evaluate(seen));
  await look(page, record);
  return record;
}

/** Runs in the page: whether all that we use is there. */
function isReady() {
  return document.querySelector('#player') && document.querySelector('#quality') && window.reelmillPlayer?.levels?.length > 1;
}

/** Chooses, by the page's own control, the level whose picture is most unlike the one that is shown. */
async function switchQuality(page, record) {
  const now = await page.evaluate(() => ({
    choices: [...document.querySelectorAll('#quality option')].map(({ value }) => value),
    levels: window.reelmillPlayer.levels.map(({ width, height, url }) => ({ width, height, picture: url[0] })),
    before: { level: window.reelmillWatch.switches.at(-1), height: document.querySelector('#player').videoHeight },
  }));
  const unlike = ({ height }) => Math.abs(height - now.before.height);
  // One level for each picture is offered, whatever sound is beside it.
  const offered = now.choices.filter((value) => value !== 'auto').map(Number);
  const wanted = offered.reduce((best, index) => (unlike(now.levels[index]) > unlike(now.levels[best]) ? index : best));
  Object.assign(record, now, { wanted });
  // What is noted from here on counts: the switches before were the player's own.
  await page.evaluate(() => void (window.reelmillWatch.switches.length = 0));
  await step(`#quality does not offer ${wanted}`, () => page.selectOption('#quality', String(wanted), { timeout: 5000 }));
}

/** Runs in the page: what was seen until the end. */
function seen() {
  const video = document.querySelector('#player');
  const played = Array.from({ length: video.played.length }, (_, i) => [video.played.start(i), video.played.end(i)]);
  const { fatal, violations, switches, samples, ended } = window.reelmillWatch;
  const { duration, currentTime: position, videoHeight: heightAtEnd } = video;
  return { fatal, violations, switches, samples, ended, duration, position, played, heightAtEnd };
}

/** Takes the screenshots, and sees that nothing stands out of the page at the side. */
async function look(page, record) {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 844 });
    const needs = await page.evaluate(() => document.documentElement.scrollWidth);
    if (needs > width) record.overflow.push({ width, needs });
    if (folder) await page.screenshot({ path: join(folder, `job-${width}.png`), fullPage: true });
  }
}

async function reaches(page, seconds) {
  const there = (at) => document.querySelector('#player').currentTime >= at;
  await page.waitForFunction(there, seconds, { timeout: READY_MS });
}

function summary({ duration, before, levels, wanted, samples }) {
  return `${address}: played ${duration.toFixed(2)} s to the end, switched from ${before.height} to ${levels[wanted].height} lines, saw ${samples.length} pictures`;
}
