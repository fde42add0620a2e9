// node agent-page.mjs NAME[:WORD]=ADDRESS [...] [FOLDER]: opens nodes' status pages, or the hub's pages of all nodes and of queues, in
// Chromium at a phone's and a desk's width, light and dark, takes screenshots into FOLDER, and complains of another word for
// the node's state than WORD, of errors, of strangers that a page asks, of what stands out at the side, of text that is hard
// to read or cut off, and of data of the node that became HTML. Exits 0 if nothing can be said against them.

import { join } from 'node:path';
import { launch, listen, step } from './browser.mjs';

/** Width and height of a phone and of a desk; and the narrowest on which nothing may stand out. */
const SCREENS = [[390, 844], [1280, 900]];
const NARROWEST = 320;
const SCHEMES = ['light', 'dark'];
const READY_MS = 15_000;

const words = process.argv.slice(2);
const pages = words.filter((word) => word.includes('=')).map((word) => word.match(/^([^:=]+)(?::([^=]+))?=(.*)$/)?.slice(1) ?? []);
const folder = words.find((word) => !word.includes('='));
if (pages.length === 0 || pages.some((page) => page.length === 0)) {
  console.error('error: the addresses of pages are wanted\nhint: node agent-page.mjs well:Well=http://127.0.0.1:9310/ [FOLDER]');
  process.exit(2);
}

const browser = await launch();
const found = [];
try {
  for (const [name, word, address] of pages) {
    for (const scheme of SCHEMES) found.push(...(await look(name, word, address, scheme)).map((what) => `${name}, ${scheme}: ${what}`));
  }
} catch (error) {
  found.push(error.message);
} finally {
  await browser.close();
}
for (const complaint of found) console.error(`error: ${complaint}`);
console.log(`${pages.length} pages were looked at, and ${found.length} things found`);
process.exitCode = found.length > 0 ? 1 : 0;

async function look(name, word, address, colorScheme) {
  const page = await browser.newPage({ colorScheme, deviceScaleFactor: 1 });
  try {
    const record = listen(page, address);
    await page.goto(address);
    await step(`${name}: the page never showed a state`, () =>
      page.waitForFunction(() => document.querySelector('#state, .nodes .state, .lanes tbody tr, #empty:not([hidden])')?.textContent && document.querySelector('#live.lost') === null, undefined, { timeout: READY_MS }), record);
    const complaints = [];
    const told = word === undefined ? undefined : await page.textContent('#state');
    if (told !== word) complaints.push(`it says "${told}" and not "${word}"`);
    for (const [width, height] of [[NARROWEST, 640], ...SCREENS]) {
      await page.setViewportSize({ width, height });
      const needs = await page.evaluate(() => document.documentElement.scrollWidth);
      if (needs > width) complaints.push(`at ${width} pixels it needs ${needs}`);
      complaints.push(...(await page.evaluate(cutOff)).map((text) => `at ${width} pixels "${text}" is cut off`));
      if (folder && width > NARROWEST) await page.screenshot({ path: join(folder, `${name}-${width}-${colorScheme}.png`), fullPage: true });
    }
    complaints.push(...(await page.evaluate(faults)));
    return [...complaints, ...record.errors, ...record.strangers.map((url) => `it asked ${url}`)];
  } finally {
    await page.close();
  }
}

/** Runs in the page: words that a person needs and of which not all is seen. */
function cutOff() {
  const words = [...document.querySelectorAll('#state, #name, #command-state, #code, .value, .now')].filter((element) => element.checkVisibility());
  // What is longer than any word of ours is made up by somebody, and may be cut.
  const isCut = (element) => element.textContent.length < 32 && element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== 'inline';
  return words.filter(isCut).map((element) => element.textContent.slice(0, 40));
}

/** Runs in the page: text that is hard to read, headings out of order, controls without a name, data that became HTML. */
function faults() {
  const told = [];
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const parts = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => {
    const [r, g, b] = parts(colour).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (parts(colour)[3] > 0) return colour;
    }
    return 'white';
  };
  const ownText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  for (const element of document.querySelectorAll('body *')) {
    if (!ownText(element) || !element.checkVisibility()) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) told.push(`a contrast of ${contrast.toFixed(2)} for "${element.textContent.slice(0, 40)}"`);
  }
  let level = 0;
  for (const heading of document.querySelectorAll('h1, h2, h3')) {
    if (!heading.checkVisibility()) continue;
    const own = Number(heading.tagName[1]);
    if (own > level + 1) told.push(`a heading of level ${own} after ${level}: ${heading.textContent}`);
    level = own;
  }
  for (const control of document.querySelectorAll('progress, svg[role="img"]')) {
    if (control.checkVisibility() && !control.getAttribute('aria-label')) told.push('a picture or a bar without a name');
  }
  for (const stranger of document.querySelectorAll('body script, body img:not([src$="/icon.svg"]), [onerror], iframe')) {
    told.push(`data became HTML: ${stranger.outerHTML.slice(0, 80)}`);
  }
  if (document.title === 'owned') told.push('data became a script');
  return told;
}
