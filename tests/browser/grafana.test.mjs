// The dashboards fit Grafana's types, and these find fault with each of some mistakes.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';
import { complaints } from './grafana.mjs';

const folder = new URL('../nix/golden/monitoring/dashboards/', import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8'));

for (const name of readdirSync(folder)) {
  test(`${name} fits Grafana's types`, () => assert.deepEqual(complaints(read(name)), []));

  test(`${name} has whole panels, side by side`, () => {
    const { panels } = read(name);
    assert.ok(panels.length > 3);
    assert.equal(new Set(panels.map((panel) => panel.title)).size, panels.length);
    const taken = new Set();
    for (const { gridPos, description } of panels) {
      assert.ok(description.endsWith('.'), description);
      assert.ok(gridPos.x + gridPos.w <= 24, description);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        assert.ok(!taken.has(`${x} ${gridPos.y}`), description);
        taken.add(`${x} ${gridPos.y}`);
      }
    }
  });
}

const mistakes = {
  'an unknown key': (d) => { d.autoplay = true; },
  'a wrong type': (d) => { d.title = 3; },
  'an unknown key of a panel': (d) => { d.panels[0].colour = 'red'; },
  'a wrong word in the options': (d) => { d.panels[0].options.textMode = 'loud'; },
  'an unknown option': (d) => { d.panels[0].options.blink = true; },
  'a wrong place': (d) => { d.panels[0].gridPos.w = 'wide'; },
  'a query without its text': (d) => { delete d.panels[0].targets[0].expr; },
};
for (const [what, make] of Object.entries(mistakes)) {
  test(`the types refuse ${what}`, () => {
    const dashboard = read('farm.json');
    make(dashboard);
    assert.notDeepEqual(complaints(dashboard), []);
  });
}
