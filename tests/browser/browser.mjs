// A browser for the checks, and what a page in it does that it should not.

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox', // Tests run in containers and as root, and open pages of our own only.
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
];

/** Starts Chromium; ends the program where there is none. */
export async function launch() {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  if (!existsSync(executablePath)) {
    console.error(`error: there is no browser at ${executablePath}\nhint: apt-get install chromium, or set CHROMIUM`);
    process.exit(2);
  }
  return chromium.launch({ executablePath, args: FLAGS });
}

/** Notes whatever a page does that it should not; `address` is where it may ask. */
export function listen(page, address) {
  const record = { errors: [], strangers: [], overflow: [] };
  const { host } = new URL(address);
  page.on('console', (message) => message.type() === 'error' && record.errors.push(`${message.text()} (${message.location().url})`));
  page.on('pageerror', (error) => record.errors.push(String(error)));
  page.on('response', (response) => response.status() >= 400 && record.errors.push(`${response.status()} for ${response.url()}`));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (!['blob:', 'data:'].includes(url.protocol) && url.host !== host) record.strangers.push(url.href);
  });
  return record;
}

/** Does something that may take too long, and says in our words that it did, with what else went wrong so far. */
export async function step(sentence, work, record) {
  try {
    return await work();
  } catch (error) {
    const reason = error.name === 'TimeoutError' ? '' : `: ${error.message}`;
    throw new Error([`${sentence}${reason}`, ...(record?.errors ?? [])].join('\nerror: '));
  }
}
