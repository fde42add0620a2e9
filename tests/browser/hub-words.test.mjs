// The words of the hub's page of nodes: which comes first, and figures as a person reads them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figure, order } from '../../hub/ui/words.js';

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
