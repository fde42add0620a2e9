// The browser check must pass a good page and refuse each of these, in a real browser with a real ladder.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const HLS = await readFile(here('../../hub/ui/node_modules/hls.js/dist/hls.min.js'));
const TYPES = { m3u8: 'application/vnd.apple.mpegurl', mp4: 'video/mp4', m4s: 'video/iso.segment' };
const POLICY = "default-src 'self'; media-src blob:; worker-src blob:; img-src data:";

/** A page with the names that a job's page has. */
const PAGE = `<!doctype html><html lang="en"><title>job</title><link rel="icon" href="data:,"><link rel="stylesheet" href="page.css">
<video id="player" playsinline muted></video><select id="quality"></select><script src="hls.js"></script><script src="page.js"></script></html>`;
const CSS = 'video { width: 100% }';
const SCRIPT = `const quality = document.querySelector('#quality'); const hls = new Hls();
hls.loadSource('LADDER/master.m3u8'); hls.attachMedia(document.querySelector('#player'));
hls.on(Hls.Events.MANIFEST_PARSED, () => ['auto', ...hls.levels.keys()].forEach((value) => quality.add(new Option(value, value))));
quality.onchange = () => { hls.nextLevel = quality.value === 'auto' ? -1 : Number(quality.value); };
window.reelmillPlayer = hls;`;

let folder;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reelmill-play-'));
  await ladder('good', ['-i', here('../media/bbb-5s.mp4')], '[0:v]');
  await ladder('black', ['-f', 'lavfi', '-i', 'color=black:size=1280x720:rate=25'], '[0:v]');
});
after(() => rm(folder, { recursive: true, force: true }));

/** Five seconds in two rungs. */
async function ladder(name, input, picture) {
  const rungs = [360, 180];
  const scale = rungs.map((height, i) => `[s${i}]scale=-2:${height}[v${i}]`).join(';');
  await run('ffmpeg', [
    '-v', 'error', ...input, '-t', '5', '-filter_complex', `${picture}split=2[s0][s1];${scale}`, '-map', '[v0]', '-map', '[v1]',
    '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-b:v:0', '600k', '-b:v:1', '200k',
    '-g', '25', '-keyint_min', '25', '-sc_threshold', '0', '-f', 'hls', '-hls_time', '1', '-hls_playlist_type', 'vod',
    '-hls_segment_type', 'fmp4', '-master_pl_name', 'master.m3u8', '-var_stream_map', 'v:0 v:1', join(folder, name, 'v%v/index.m3u8'),
  ]);
}

/** Serves a page on a free port and gives what `play.mjs` says of it. */
async function watch({ page = PAGE, css = CSS, script = SCRIPT, of = 'good' } = {}) {
  const files = { '/': [page, 'text/html'], '/page.css': [css, 'text/css'], '/hls.js': [HLS, 'text/javascript'] };
  files['/page.js'] = [script.replace('LADDER', `/${of}`), 'text/javascript'];
  const server = createServer(async ({ url }, response) => {
    const media = () => readFile(join(folder, url)).then((bytes) => [bytes, TYPES[url.split('.').pop()]], () => undefined);
    const found = files[url] ?? (await media());
    response.writeHead(found ? 200 : 404, { 'content-type': found?.[1] ?? 'text/plain', 'content-security-policy': POLICY });
    response.end(found?.[0]);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  try {
    const { stdout } = await run(process.execPath, [here('play.mjs'), `http://127.0.0.1:${server.address().port}/`, folder]);
    return { code: 0, text: stdout };
  } catch ({ code, stderr }) {
    return { code, text: stderr };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function refuses(change, sentence) {
  const { code, text } = await watch(change);
  assert.equal(code, 1, text);
  assert.match(text, sentence);
}

test('a good page is played to its end', async () => {
  const { code, text } = await watch();
  assert.equal(code, 0, text);
  assert.match(text, /played 5\.\d\d s to the end, switched from (180 to 360|360 to 180) lines/);
  for (const width of [390, 1280]) assert.ok((await stat(join(folder, `job-${width}.png`))).size > 1000);
});

test('a quality control that does nothing is refused', () =>
  refuses({ script: SCRIPT.replace('quality.onchange', 'quality.unused') }, /hls\.js did not switch to level \d/));

test('a black picture is refused', () => refuses({ of: 'black' }, /\d+ of \d+ pictures are blank/));

test('errors, policy violations and a page too wide are all told', async () => {
  const script = `${SCRIPT} console.error('broken'); for (const url of ['/nowhere', 'http://127.0.0.2:9/']) fetch(url).catch(() => {});`;
  const { code, text } = await watch({ script, css: 'body { width: 500px }' });
  assert.equal(code, 1);
  for (const part of [/console: broken/, /404 for .*\/nowhere/, /connect-src forbids http:\/\/127\.0\.0\.2:9/, /at 390 px the page is \d+ px wide/]) {
    assert.match(text, part);
  }
});

test('a page without a player is refused', () =>
  refuses({ script: 'throw new Error("no script today")' }, /never offered a #player/));
