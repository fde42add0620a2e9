// The playlist check must refuse each of these ladders, and name what is wrong.

import assert from 'node:assert/strict';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'node:test';
import { complaints, peakBitrate } from './ladder.mjs';

const MASTER = `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Main",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=900000,AVERAGE-BANDWIDTH=700000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=25.000,AUDIO="audio"
720p/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=500000,AVERAGE-BANDWIDTH=400000,CODECS="avc1.64001e,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=25.000,AUDIO="audio"
360p/index.m3u8
`;
const MEDIA = `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="init.mp4"
#EXTINF:4.000000,
seg_00000.m4s
#EXTINF:1.280000,
seg_00001.m4s
#EXT-X-ENDLIST
`;
const FOLDERS = ['720p', '360p', 'audio'];

/** A good ladder's files. */
function good() {
  const files = { 'master.m3u8': MASTER };
  for (const folder of FOLDERS) {
    files[`${folder}/index.m3u8`] = MEDIA;
    files[`${folder}/init.mp4`] = '\0\0\0\x08ftyp';
    files[`${folder}/seg_00000.m4s`] = 'x'.repeat(100_000);
    files[`${folder}/seg_00001.m4s`] = 'x'.repeat(10_000);
  }
  return files;
}

/** Changes a good ladder, and wants these complaints of it. */
async function check(change, wanted) {
  const files = good();
  change(files);
  const read = async ({ href }) => {
    const text = files[href.replace('https://hub.example/job/', '')];
    if (text === undefined) throw new Error('the server answered 404');
    return { bytes: Buffer.from(text), type: undefined };
  };
  assert.deepEqual(await complaints(new URL('https://hub.example/job/master.m3u8'), read), wanted);
}

/** Replaces text in one file, which must hold it. */
function replace(file, from, to) {
  return (files) => {
    assert.ok(files[file].includes(from), `${file} holds ${from}`);
    files[file] = files[file].replace(from, to);
  };
}

test('a good ladder passes', () => check(() => {}, []));

test('a variant without its playlist is refused', () =>
  check((files) => delete files['360p/index.m3u8'], ['360p/index.m3u8: cannot be read: the server answered 404']));

test('an audio group without its playlist is refused', () =>
  check((files) => delete files['audio/index.m3u8'], ['audio/index.m3u8: cannot be read: the server answered 404']));

test('an audio group that is not there is refused', () =>
  check(replace('master.m3u8', 'GROUP-ID="audio"', 'GROUP-ID="sound"'), [
    'master.m3u8: cannot be read: AUDIO attribute MUST match the value of the GROUP-ID attribute of an EXT-X-MEDIA tag whose TYPE attribute is AUDIO.',
  ]));

test('a target duration below a segment is refused', () =>
  check(replace('360p/index.m3u8', 'TARGETDURATION:4', 'TARGETDURATION:3'), [
    '360p/index.m3u8: cannot be read: EXTINF duration, when rounded to the nearest integer, MUST be less than or equal to the target duration',
  ]));

test('a target duration far above the segments is refused', () =>
  check(replace('360p/index.m3u8', 'TARGETDURATION:4', 'TARGETDURATION:9'), [
    '360p/index.m3u8: EXT-X-TARGETDURATION is 9, but the longest segment has 4 s',
  ]));

test('rungs that are cut at different moments are refused', () =>
  check(replace('360p/index.m3u8', 'EXTINF:4.000000', 'EXTINF:3.960000'), [
    '360p/index.m3u8: segment 0 ends at 3.960 s, but elsewhere at 4.000 s',
  ]));

test('rungs with different numbers of segments are refused', () =>
  check(replace('360p/index.m3u8', '#EXTINF:1.280000,\nseg_00001.m4s\n', ''), [
    '360p/index.m3u8: has 1 segments, but 720p/index.m3u8 has 2',
  ]));

test('a segment that is missing or empty is refused', () =>
  check(
    (files) => {
      delete files['360p/seg_00001.m4s'];
      files['720p/seg_00001.m4s'] = '';
    },
    ['720p/seg_00001.m4s: is empty', '360p/seg_00001.m4s: cannot be read: the server answered 404'],
  ));

test('an init segment that is something else is refused', () =>
  check((files) => (files['360p/init.mp4'] = '<html>404</html>'), [
    '360p/init.mp4: is no init segment: it does not begin with a ftyp box',
  ]));

test('a variant that hides its codecs, size or frame rate is refused', () =>
  check(replace('master.m3u8', 'CODECS="avc1.64001e,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=25.000,', 'RESOLUTION=640x360,'), [
    '360p/index.m3u8: its variant has no CODECS',
    '360p/index.m3u8: its variant has no FRAME-RATE',
    '360p/index.m3u8: its variant has an AUDIO group, but CODECS names no audio',
  ]));

test('a playlist that never ends is refused', () =>
  check(replace('360p/index.m3u8', '#EXT-X-ENDLIST\n', ''), ['360p/index.m3u8: has no EXT-X-ENDLIST']));

test('a bandwidth below the bytes is refused', () =>
  check(replace('master.m3u8', 'BANDWIDTH=500000,AVERAGE-BANDWIDTH=400000', 'BANDWIDTH=150000,AVERAGE-BANDWIDTH=100000'), [
    '360p/index.m3u8: BANDWIDTH says 150000 bit/s, but its picture alone peaks at 200000',
  ]));

test('an average above the peak is refused', () =>
  check(replace('master.m3u8', 'AVERAGE-BANDWIDTH=400000', 'AVERAGE-BANDWIDTH=600000'), [
    '360p/index.m3u8: AVERAGE-BANDWIDTH is above BANDWIDTH',
  ]));

test('audio that ends long before the picture is refused', () => {
  const longer = (files) => {
    for (const rung of ['720p', '360p']) {
      files[`${rung}/index.m3u8`] = MEDIA.replace('#EXT-X-ENDLIST', '#EXTINF:4.000000,\nseg_00001.m4s\n#EXT-X-ENDLIST');
    }
  };
  return check(longer, ['audio/index.m3u8: ends 4.000 s away from the picture']);
});

test('a playlist outside the folder of the ladder is refused', () =>
  check(replace('master.m3u8', '\n360p/index.m3u8', '\nhttps://elsewhere.example/index.m3u8'), [
    'https://elsewhere.example/index.m3u8: lies outside the folder of the ladder',
    'https://elsewhere.example/index.m3u8: cannot be read: the server answered 404',
  ]));

test('a media playlist in the place of the multivariant one is refused', () =>
  check((files) => (files['master.m3u8'] = MEDIA), [
    'master.m3u8: this is a media playlist, but a multivariant playlist is wanted',
  ]));

test('what is no playlist at all is refused', () =>
  check((files) => (files['master.m3u8'] = '<html>'), [
    'master.m3u8: cannot be read: The EXTM3U tag MUST be the first line.',
  ]));

test('the peak is that of the worst stretch around one target duration', () => {
  assert.equal(peakBitrate([4, 1.28], [100_000, 10_000], 4), 200_000);
  // The last second alone is too short to count, together with the one before it does.
  assert.equal(peakBitrate([4, 1], [100_000, 100_000], 4), 320_000);
  assert.equal(peakBitrate([], [], 4), 0);
});

test('the program exits 1 and says why, or 0 for a good ladder in a folder', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'reelmill-ladder-'));
  try {
    for (const name of FOLDERS) await mkdir(join(folder, name));
    for (const [name, text] of Object.entries(good())) await writeFile(join(folder, name), text);
    const run = () =>
      spawnSync(process.execPath, [fileURLToPath(new URL('lint-playlists.mjs', import.meta.url)), join(folder, 'master.m3u8')], { encoding: 'utf8' });
    assert.equal(run().status, 0);
    await rm(join(folder, '360p/index.m3u8'));
    const refused = run();
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /^error: 360p\/index\.m3u8: cannot be read: ENOENT/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
