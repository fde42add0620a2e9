// node live.mjs PROGRAMS [SECONDS]: a whole farm with a live job, sent over SRT by ffmpeg and watched by hls.js on the job's
// page in Chromium, for ten minutes unless told otherwise. The source drops twice and the worker is killed once. Exits 0 if
// the player stayed within three target durations of live and every listed segment was there.

import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { liveComplaints, listed } from './live-verdict.mjs';

const [programs, given = '600'] = process.argv.slice(2);
const seconds = Number(given);
if (!programs || !(seconds >= 60)) {
  console.error('error: the folder of the programs is wanted\nhint: node live.mjs target/debug [SECONDS, 60 or more]');
  process.exit(2);
}
const PORT = 20000 + (process.pid % 20000);
const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--autoplay-policy=no-user-gesture-required'];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const children = new Set();

function run(program, args, env = {}) {
  const child = spawn(program, args, { env: { PATH: process.env.PATH, HOME: tmpdir(), ...env }, stdio: ['pipe', 'ignore', 'inherit'] });
  children.add(child);
  child.on('exit', () => children.delete(child));
  return child;
}

/** An encoder that is on, or not. */
const sender = { on: true, child: null };
async function keepSending() {
  const source = '-nostdin -v quiet -re -f lavfi -i testsrc2=size=1280x720:rate=25 -re -f lavfi -i sine=sample_rate=48000 -c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -b:v 2M -g 25 -c:a aac -f mpegts';
  while (!sender.over) {
    if (sender.on && (!sender.child || sender.child.exitCode !== null || sender.child.signalCode !== null)) {
      sender.child = run('ffmpeg', [...source.split(' '), `srt://127.0.0.1:${PORT}?mode=listener`]);
    }
    await sleep(200);
  }
}

function startWorker(at, name) {
  return run(join(programs, 'reelmill-worker'), [], {
    QUEUE_URL: at.queue, QUEUE_NAME: at.queue_name, S3_ENDPOINT_URL: at.store, AWS_ACCESS_KEY_ID: at.keys.access_key,
    AWS_SECRET_ACCESS_KEY: at.keys.secret_key, OUTPUT_BUCKET: at.output_bucket, STATUS_LISTEN: '127.0.0.1:0',
    TAGS: 'lan', PRESET: 'live-hls', HWACCEL: 'none', REELMILL_NODE: name,
  });
}

async function addresses(data) {
  for (;;) {
    try {
      return JSON.parse(await readFile(join(data, 'hub.json'), 'utf8'));
    } catch {
      await sleep(100);
    }
  }
}

/** A file's text, or why there is none: one that breaks off in the middle is none. */
async function whole(url) {
  try {
    const answer = await fetch(url);
    return answer.ok ? { text: await answer.text() } : { why: answer.status };
  } catch (error) {
    return { why: String(error.cause ?? error) };
  }
}

/** Reads every playlist twice a second and asks for every file in it. */
async function poll(output, record) {
  while (!record.over) {
    const master = await whole(`${output}/master.m3u8`);
    const names = master.text ? listed(master.text) : [];
    for (const name of names) {
      const url = `${output}/${name}`;
      const answer = await whole(url);
      if (!answer.text) { record.missing.push(`${name}: ${answer.why}`); continue; }
      for (const file of listed(answer.text)) {
        record.asked += 1;
        const found = await fetch(new URL(file, url), { method: 'HEAD' }).catch(() => null);
        if (!found?.ok) record.missing.push(`${file}: ${found?.status}`);
      }
    }
    await sleep(500);
  }
}

/** Runs in the page: where the player is, and where live is. */
function sample() {
  const hls = window.reelmillPlayer;
  const video = document.querySelector('#player');
  const details = hls?.levels?.[hls.currentLevel]?.details ?? hls?.latestLevelDetails;
  if (!details || !video) return null;
  return {
    at: Date.now(), position: video.currentTime, behind: details.edge - video.currentTime, target: details.targetduration,
    wall: hls.playingDate ? (Date.now() - hls.playingDate) / 1000 : null, sequence: details.endSN, level: hls.currentLevel,
  };
}

async function main() {
  const data = await mkdtemp(join(tmpdir(), 'reelmill-live-'));
  const record = { samples: [], missing: [], asked: 0, fatal: [], over: false, events: [] };
  const note = (what) => { record.events.push({ at: Date.now(), what }); console.log(`${((Date.now() - began) / 1000).toFixed(1)} s: ${what}`); };
  let began = Date.now();
  let browser;
  try {
    run(join(programs, 'reelmill-hub'), ['serve', '--data', data, '--listen', '127.0.0.1:0']);
    const at = await addresses(data);
    keepSending();
    let worker = startWorker(at, 'first');
    const submitted = await fetch(`${at.api}/v1/jobs`, {
      method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input: `srt://127.0.0.1:${PORT}`, preset: 'live-hls' }),
    });
    const job = await submitted.json();
    if (!submitted.ok) throw new Error(JSON.stringify(job));
    const output = `${at.api}/v1/jobs/${job.id}/output`;
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
    const page = await browser.newPage();
    await page.goto(`${at.api}/jobs/${job.id}`);
    await page.waitForFunction(() => window.reelmillPlayer?.levels?.length > 1, undefined, { timeout: 60_000 });
    await page.evaluate(() => {
      window.liveFatal = [];
      window.reelmillPlayer.on('hlsError', (_, { fatal, details }) => fatal && window.liveFatal.push(details));
      const video = document.querySelector('#player');
      video.muted = true;
      return video.play();
    });
    began = Date.now();
    note('playing');
    const polling = poll(output, record);
    const steps = [
      [0.2, () => { note('the source drops'); sender.on = false; sender.child.kill('SIGKILL'); }],
      [0.2 + 8 / seconds, () => { note('the source is back'); sender.on = true; }],
      [0.45, () => { note('the worker is killed'); worker.kill('SIGKILL'); }],
      [0.45 + 1 / seconds, () => { note('another worker starts'); worker = startWorker(at, 'second'); }],
      [0.7, () => { note('the source drops'); sender.on = false; sender.child.kill('SIGKILL'); }],
      [0.7 + 12 / seconds, () => { note('the source is back'); sender.on = true; }],
    ];
    while (Date.now() - began < seconds * 1000) {
      while (steps.length && Date.now() - began >= steps[0][0] * seconds * 1000) steps.shift()[1]();
      const seen = await page.evaluate(sample);
      if (seen) record.samples.push(seen);
      await sleep(250);
    }
    record.fatal = await page.evaluate(() => window.liveFatal);
    const stopping = await fetch(`${at.api}/v1/jobs/${job.id}`, { method: 'DELETE' });
    if (stopping.status !== 202) record.fatal.push(`DELETE was answered ${stopping.status}`);
    for (let left = 120; left > 0; left -= 1) {
      record.job = await (await fetch(`${at.api}/v1/jobs/${job.id}`)).json();
      if (record.job.state === 'done') break;
      await sleep(250);
    }
    record.over = true;
    await polling;
    const found = liveComplaints(record, seconds);
    for (const complaint of found) console.error(`error: ${complaint}`);
    const behind = record.samples.map((s) => s.behind).sort((a, b) => a - b);
    const wall = record.samples.map((s) => s.wall).filter((w) => w !== null).sort((a, b) => a - b);
    const of = (list, part) => list[Math.min(list.length - 1, Math.floor(list.length * part))]?.toFixed(2);
    console.log(`${seconds} s: ${record.asked} listed files asked for, ${record.missing.length} missing; behind the end of the playlist: median ${of(behind, 0.5)} s, most ${of(behind, 1)} s; behind the clock, outages included: median ${of(wall, 0.5)} s, 95 % ${of(wall, 0.95)} s`);
    process.exitCode = found.length ? 1 : 0;
  } finally {
    sender.over = true;
    record.over = true;
    await browser?.close();
    for (const child of children) child.kill('SIGKILL');
    await sleep(300);
    await rm(data, { recursive: true, force: true });
  }
}

await main();
