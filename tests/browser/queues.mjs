// node queues.mjs HUB WAITING-JOB FAILED-JOB [FOLDER]: uses the hub's page of queues and of two jobs as an operator does, in
// Chromium at a phone's width: pauses and resumes a lane, opens what a dead letter holds, has one tried again and one dropped,
// cancels the job that waits and has the one that failed tried again. Complains of what does not come of it, of errors, of
// strangers that a page asks, and of what stands out at the side.

import { join } from 'node:path';
import { launch, listen, step } from './browser.mjs';

const [hub, waiting, failed, folder] = process.argv.slice(2);
if (!failed) {
  console.error('error: a hub, a job that waits and one that failed are wanted\nhint: node queues.mjs http://127.0.0.1:7700 UUID UUID');
  process.exit(2);
}

const browser = await launch();
try {
  const page = await browser.newPage({ viewport: { width: 390, height: 844 } });
  const record = listen(page, hub);
  const complaints = [];
  page.setDefaultTimeout(30_000);
  page.on('dialog', (dialog) => dialog.accept());
  const take = (name) => folder && page.screenshot({ path: join(folder, `${name}-390-press.png`), fullPage: true });
  const fits = async (what) => {
    const needs = await page.evaluate(() => document.documentElement.scrollWidth);
    if (needs > 390) complaints.push(`${what} needs ${needs} pixels`);
  };
  const does = (sentence, work) => step(sentence, work, record);

  await page.goto(`${hub}/queues`);
  const lane = page.locator('.lanes tbody tr', { has: page.getByText('reelmill-proxy', { exact: true }) });
  await does('a lane was not paused', async () => {
    await lane.getByRole('button', { name: 'Pause reelmill-proxy' }).click();
    await lane.getByText('Paused').waitFor();
  });
  await does('a lane was not resumed', async () => {
    await lane.getByRole('button', { name: 'Resume reelmill-proxy' }).click();
    await lane.getByText('Paused').waitFor({ state: 'hidden' });
  });
  const letters = page.locator('.letters > li');
  const before = await letters.count();
  await does('a dead letter does not show what was published', async () => {
    await letters.first().getByText('What was published').click();
    await letters.first().locator('pre:not(:empty)').waitFor();
  });
  await fits('the page of queues');
  await take('queues-open');
  const goes = async (name, left) => {
    await letters.first().getByRole('button', { name }).click();
    await page.waitForFunction((n) => document.querySelectorAll('.letters > li').length === n, left);
  };
  await does('a dead letter was not tried again', () => goes('Try again', before - 1));
  await does('a dead letter was not dropped', () => goes('Drop', before - 2));

  await page.goto(`${hub}/jobs/${waiting}`);
  await does('a job that waits was not canceled', async () => {
    await page.getByRole('button', { name: 'Cancel this job' }).click();
    await page.locator('#state[data-state="canceled"]').waitFor();
    await page.getByRole('button', { name: 'Cancel this job' }).waitFor({ state: 'hidden' });
  });
  await fits('the page of a canceled job');
  await take('job-canceled');

  await page.goto(`${hub}/jobs/${failed}`);
  await does('a job that failed was not tried again', async () => {
    await page.getByRole('button', { name: 'Try it again' }).waitFor();
    await fits('the page of a failed job');
    await take('job-failed');
    await page.getByRole('button', { name: 'Try it again' }).click();
    await page.locator('#state[data-state="queued"]').waitFor();
    await page.getByRole('button', { name: 'Try it again' }).waitFor({ state: 'hidden' });
  });
  const found = [...complaints, ...record.errors, ...record.strangers.map((url) => `it asked ${url}`)];
  for (const complaint of found) console.error(`error: ${complaint}`);
  console.log(`every button was pressed, and ${found.length} things found`);
  process.exitCode = found.length > 0 ? 1 : 0;
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
