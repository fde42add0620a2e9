import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cueComplaints, lines } from './cues.mjs';

const SRT = '1\n00:00:01,000 --> 00:00:02,500\nHello <b>bold</b>\n\n2\n01:00:03,000 --> 01:00:04,000\ntwo\nlines\n';
const wanted = [{ start: 1, end: 2, text: 'a' }];
const seen = (from, to, texts) => Array.from({ length: 20 }, (_, n) => ({ time: from + ((to - from) * n) / 20, texts }));
const true_ = [...seen(0, 1, []), ...seen(1.1, 2, ['a']), ...seen(2.1, 3, [])];

test('reads SubRip', () => {
  assert.deepEqual(lines(SRT), [
    { start: 1, end: 2.5, text: 'Hello bold' },
    { start: 3603, end: 3604, text: 'two\nlines' },
  ]);
});

test('nothing is said of lines at their times', () => assert.deepEqual(cueComplaints('de', wanted, true_), []));

test('a line that is missing, late or never goes is told', () => {
  const said = (samples) => cueComplaints('de', wanted, samples).join('; ');
  assert.match(said(true_.map(({ time }) => ({ time, texts: [] }))), /"a" was not shown/);
  assert.match(said(true_.filter(({ time }) => time < 1 || time > 2)), /nothing was seen between 1 s and 2 s/);
  assert.match(said([...true_, { time: 2.9, texts: ['a'] }]), /at 2.90 s "a" was shown/);
  assert.match(said([{ time: 0.5, texts: ['a'] }, ...true_]), /at 0.50 s "a" was shown/);
  assert.match(said([...true_, { time: 1.5, texts: ['a', 'b'] }]), /"b" was shown/);
});
