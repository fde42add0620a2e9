// The words of the hub's pages: which node comes first, figures as a person reads them, reasons of dead letters.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { count, figure, letterAddress, order, reasonAndHints } from '../../hub/ui/words.js';

test('what needs somebody comes first, then names in the order of their numbers', () => {
  const nodes = ['orin-10 up', 'orin-9 up', 'b down', 'a unknown', 'z degraded', 'c odd'].map((line) => {
    const [node, state] = line.split(' ');
    return { node, state };
  });
  // A state that this page does not know is none to overlook.
  assert.deepEqual(nodes.sort(order).map(({ node }) => node), ['c', 'z', 'b', 'a', 'orin-9', 'orin-10']);
});

test('figures have as many digits as they need', () => {
  assert.deepEqual([figure(58.49, '°C'), figure(99.6, '%'), figure(123.4, 'W')], ['58.5 °C', '100 %', '123 W']);
});

test('a reason is told apart from its hints', () => {
  assert.deepEqual(reasonAndHints('no video\nhint: send one'), { reason: 'no video', hints: ['send one'] });
  assert.deepEqual(reasonAndHints(''), { reason: '', hints: [] });
  assert.deepEqual([count(1, 'task'), count(1200, 'task')], ['1 task', '1,200 tasks']);
});

test("a letter's address holds whatever its id is", () => {
  assert.equal(letterAddress({ lane: 'reelmill', message_id: 'a/../b?c' }), '/v1/dead-letters/reelmill/a%2F..%2Fb%3Fc');
});
