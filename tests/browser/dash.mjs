// node dash.mjs MANIFEST [FOLDER]: plays each rung of a DASH manifest to its end in Chromium with Shaka Player, and takes a
// screenshot of each into FOLDER. Rungs whose codec this browser cannot decode are told and left out; one must be left.
// Exits 0 if nothing can be said against it.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, listen, step } from './browser.mjs';
import { promises } from './mpd.mjs';
import { read } from './source.mjs';
import { dashComplaints } from './verdict.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const PLAYER = here('node_modules/shaka-player/dist/shaka-player.dash.js');
const SCRIPTS = [here('watch.js'), PLAYER, here('dash-page.js')];
const TYPE = 'application/dash+xml';
/** A page of our own, where the manifest lies. */
const PAGE = '<!doctype html><html lang="en"><title>DASH</title><link rel="icon" href="data:,"><video id="player" muted playsinline></video></html>';
const END_MS = 120_000;

const [address, folder] = process.argv.slice(2);
if (!address) {
  console.error("error: a manifest's address is wanted\nhint: node dash.mjs http://HUB/v1/jobs/UUID/output/manifest.mpd [FOLDER]");
  process.exit(2);
}

const browser = await launch();
let found = [];
try {
  found = await check();
} catch (error) {
  found = [error.message];
} finally {
  await browser.close();
}
for (const complaint of found) console.error(`error: ${complaint}`);
process.exitCode = found.length > 0 ? 1 : 0;

async function check() {
  const { bytes, type } = await read(new URL(address));
  const said = type === TYPE ? [] : [`${address}: is served as ${type}, not as ${TYPE}`];
  const all = promises(bytes.toString('utf8'));
  const sound = all.find(({ kind }) => kind === 'audio');
  let played = 0;
  for (const rung of all.filter(({ kind }) => kind === 'video')) {
    const record = await play(rung, sound);
    if (!record) {
      console.log(`${address}: left out ${rung.id}: this browser cannot decode ${rung.codecs}`);
      continue;
    }
    played += 1;
    said.push(...dashComplaints(record).map((complaint) => `${rung.id}: ${complaint}`));
    console.log(`${address}: played ${record.duration.toFixed(2)} s of ${rung.id} (${rung.codecs}), saw ${record.samples.length} pictures`);
  }
  if (played === 0) said.push(`${address}: this browser can play none of its rungs`);
  return said;
}

/** Plays one rung from beginning to end and records what was seen; nothing where the browser cannot decode it. */
async function play(rung, sound) {
  const page = await browser.newPage();
  const record = Object.assign(listen(page, address), { rung, promised: { video: rung.end, ...(sound && { audio: sound.end }) } });
  const place = new URL('/reelmill-dash-check', address).href;
  await page.route(place, (route) => route.fulfill({ contentType: 'text/html', body: PAGE }));
  await page.goto(place);
  for (const path of SCRIPTS) await page.addScriptTag({ path });
  try {
    if (!(await page.evaluate((codecs) => window.reelmillDash.decodes(codecs), rung.codecs))) return undefined;
    await step(`${rung.id} could not be opened`, () => page.evaluate(([at, id]) => window.reelmillDash.open(at, id), [address, rung.id]), record);
    await page.evaluate(() => window.reelmillWatch.play(document.querySelector('#player')));
    const ended = () => page.waitForFunction(() => window.reelmillWatch.ended, undefined, { timeout: END_MS });
    await step(`${rung.id} did not play to its end`, ended, record);
    Object.assign(record, await page.evaluate(() => window.reelmillDash.seen()));
    if (folder) await page.screenshot({ path: join(folder, `dash-${rung.codecs.slice(0, 4)}-${rung.id}.png`) });
    return record;
  } finally {
    await page.close();
  }
}
