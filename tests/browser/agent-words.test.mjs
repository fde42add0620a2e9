// The words of the node's page: figures, times and names as a person reads them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ago, bytes, duration, figure, fileName, joined, rate } from '../../agent/src/page/words.js';

test('figures have as many digits as they need', () => {
  assert.deepEqual(
    [figure(7.04, 'W'), figure(123.4, 'W'), figure(99.6, '%'), bytes(999), bytes(1_500), bytes(612e9), rate(100), rate(2500)],
    ['7.0 W', '123 W', '100 %', '999 B', '1.5 KB', '612 GB', '100 Mbit/s', '2.5 Gbit/s'],
  );
});

test('times are told in the two largest units', () => {
  const seconds = [0, 59.4, 59.6, 3599, 3600, 86_399, 86_400, 268_412];
  assert.deepEqual(seconds.map(duration), ['0 s', '59 s', '1 min', '59 min', '1 h 0 min', '23 h 59 min', '1 day 0 h', '3 days 2 h']);
});

test('how long ago is told by the clock of the node, and what is no time is shown as it came', () => {
  const now = '2026-11-22T10:00:00Z';
  const times = ['2026-11-22T09:59:55Z', '2026-11-22T09:58:00Z', '2026-11-22T10:00:07Z', '<b>'];
  assert.deepEqual(times.map((time) => ago(time, now)), ['just now', '2 min ago', 'just now', '<b>']);
});

test('what is not there is not told', () => {
  assert.equal(joined('a', null, undefined, false, '', 'b'), 'a · b');
  assert.deepEqual(['s3://b/a/film.mov', 'film.mov', 's3://b/', ''].map(fileName), ['film.mov', 'film.mov', 'b', '']);
});
