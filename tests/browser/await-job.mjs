// node await-job.mjs PAGE: waits until the job of that page is done, and prints its multivariant playlist's address.

const POLL_MS = 250;
const PATIENCE_MS = 300_000;

const page = process.argv[2];
const id = page && new URL(page).pathname.match(/^\/jobs\/([0-9a-f-]{36})$/)?.[1];
if (!id) {
  console.error('error: the address of a job\'s page is wanted\nhint: node await-job.mjs http://HUB/jobs/UUID');
  process.exit(2);
}
const job = new URL(`/v1/jobs/${id}`, page);

async function state() {
  const response = await fetch(job, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) {
    throw new Error(`GET ${job} was answered ${response.status}: ${await response.text()}`);
  }
  return response.json();
}

const deadline = Date.now() + PATIENCE_MS;
for (;;) {
  const now = await state();
  if (now.state === 'done') break;
  if (now.state === 'failed') {
    console.error(`error: job ${id} failed: ${JSON.stringify(now.failure)}`);
    process.exit(1);
  }
  if (Date.now() > deadline) {
    console.error(`error: job ${id} is still ${now.state} after ${PATIENCE_MS / 1000} s`);
    process.exit(1);
  }
  await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
console.log(`${job}/output/master.m3u8`);
