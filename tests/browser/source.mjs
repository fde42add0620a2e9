// Reads what a playlist names, from a server or from a folder.

import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';

/** The address of what the user named: a URL, or a path. */
export function address(named) {
  return /^https?:\/\//.test(named) ? new URL(named) : pathToFileURL(named);
}

/** The bytes at an address and the media type that they are served as; `undefined` for a file's type. */
export async function read(url) {
  if (url.protocol === 'file:') {
    return { bytes: await readFile(url), type: undefined };
  }
  const response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
  if (!response.ok) {
    throw new Error(`the server answered ${response.status}`);
  }
  const type = response.headers.get('content-type')?.split(';')[0];
  return { bytes: Buffer.from(await response.arrayBuffer()), type };
}
