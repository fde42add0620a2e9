// node lint-playlists.mjs MASTER: reads a ladder's playlists strictly. MASTER is the address or the path of the
// multivariant playlist. Exits 0 if nothing can be said against the ladder.

import { complaints } from './ladder.mjs';
import { address } from './source.mjs';

const [named, ...more] = process.argv.slice(2);
if (!named || more.length > 0) {
  console.error('error: one argument is wanted\nhint: node lint-playlists.mjs MASTER_URL_OR_PATH');
  process.exit(2);
}
const found = await complaints(address(named));
for (const complaint of found) {
  console.error(`error: ${complaint}`);
}
if (found.length > 0) {
  process.exit(1);
}
console.log(`${named}: a strict parser takes all playlists, and they agree with each other`);
