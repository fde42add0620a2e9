// The live check must refuse each of these records.

import assert from 'node:assert/strict';
import test from 'node:test';
import { listed, liveComplaints } from './live-verdict.mjs';

const good = () => ({
  samples: Array.from({ length: 240 }, (_, i) => ({ at: i * 250, position: i * 0.25, behind: 4, target: 2 })),
  missing: [], asked: 1000, fatal: [], job: { state: 'done' },
});

function check(change, part) {
  const record = good();
  change(record);
  const found = liveComplaints(record, 60);
  assert.ok(part ? found.some((text) => text.includes(part)) : found.length === 0, found.join('; '));
}

test('a good record passes', () => check(() => {}));
test('a player that falls behind is refused', () => check((r) => (r.samples[9].behind = 6.1), 'more than 3 target durations behind'));
test('a missing segment is refused', () => check((r) => r.missing.push('seg_1: 404'), '1 listed files were missing'));
test('a picture that stands still is refused', () => check((r) => r.samples.forEach((s) => (s.position = 3)), 'were played'));
test('a player that gave up is refused', () => check((r) => r.fatal.push('levelLoadError'), 'gave up'));
test('a job that does not end is refused', () => check((r) => (r.job = { state: 'running' }), 'running'));
test('a watcher that saw nothing is refused', () => check((r) => (r.asked = 0), 'asked for'));

test('finds what a playlist names', () =>
  assert.deepEqual(listed('#EXTM3U\n#EXT-X-MAP:URI="../a/init.mp4"\n#EXTINF:2,\n../a/seg_0.m4s\n'), ['../a/init.mp4', '../a/seg_0.m4s']));
