// node submit.mjs PAGE PRESET: submits the video of that page's job once more, by another preset, and prints the new job's
// page.

const [page, preset] = process.argv.slice(2);
if (!preset) {
  console.error('error: the page of a job and a preset are wanted\nhint: node submit.mjs http://HUB/jobs/UUID hls-ladder-av1');
  process.exit(2);
}
const id = new URL(page).pathname.split('/').pop();
const { input } = await ask(new URL(`/v1/jobs/${id}`, page));
const job = await ask(new URL('/v1/jobs', page), {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ input, preset }),
});
console.log(new URL(`/jobs/${job.id}`, page).href);

async function ask(url, init = {}) {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(30_000) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${init.method ?? 'GET'} ${url} was answered ${response.status}: ${text}`);
  return JSON.parse(text);
}
