// The look at the node's page complains of a page with something wrong, and lets one pass that is well.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { test } from 'node:test';

const HEAD = '<!doctype html><html lang="en"><title>node</title><link rel="icon" href="data:,"><body style="margin:0">';
const WELL = '<h1 id="name">a</h1><span id="state">Well</span><p id="live">Live</p>';

/** What is said of a page that should say "Well". */
async function look(body) {
  const server = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end(HEAD + body));
  await new Promise((listens) => server.listen(0, '127.0.0.1', listens));
  const address = `page:Well=http://127.0.0.1:${server.address().port}/`;
  const script = new URL('agent-page.mjs', import.meta.url).pathname;
  const ended = await new Promise((ends) => execFile('node', [script, address], (error, _, stderr) => ends({ code: error?.code ?? 0, stderr })));
  server.close();
  return { ...ended, told: [...new Set(ended.stderr.split('\n').map((line) => line.replace(/^error: page, (light|dark): /, '')))].filter(Boolean) };
}

test('a page that is well passes', async () => {
  assert.deepEqual(await look(WELL), { code: 0, stderr: '', told: [] });
});

test('each fault is told', async () => {
  const { code, told } = await look(`${WELL.replace('Well', 'Hot')}<div style="width:800px">wide</div>
    <h3>too deep</h3><p style="color:#ccc">pale</p><progress></progress><iframe></iframe>
    <div class="value" style="width:20px;overflow:hidden;white-space:nowrap">93.9 of 99.0</div>
    <script>console.error('broken')</script>`);
  assert.equal(code, 1);
  for (const fault of [
    'it says "Hot" and not "Well"',
    'at 320 pixels it needs 800',
    'at 390 pixels it needs 800',
    'at 390 pixels "93.9 of 99.0" is cut off',
    'a contrast of 1.61 for "pale"',
    'a heading of level 3 after 1: too deep',
    'a picture or a bar without a name',
  ]) assert.ok(told.includes(fault), `${fault}: ${told.join('; ')}`);
  for (const start of ['broken (', 'data became HTML: <iframe']) assert.ok(told.some((line) => line.startsWith(start)), start);
});
