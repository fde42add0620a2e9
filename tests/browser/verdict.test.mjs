// The verdict must find fault with each of these records of a play.

import assert from 'node:assert/strict';
import test from 'node:test';
import { complaints, dashComplaints } from './verdict.mjs';

/** A record that `play.mjs` makes of a good page. */
function good() {
  const samples = Array.from({ length: 16 }, (_, i) => ({ at: i / 3, deviation: 50, change: i ? 8 : undefined }));
  return {
    ended: true,
    duration: 5.312,
    position: 5.312,
    played: [[0, 5.312]],
    choices: ['auto', '0', '1', '2'],
    levels: [{ height: 360, picture: 'c' }, { height: 480, picture: 'b' }, { height: 720, picture: 'a' }],
    before: { level: 0, height: 360 },
    wanted: 2,
    switches: [2],
    heightAtEnd: 720,
    samples,
    fatal: [],
    violations: [],
    errors: [],
    strangers: [],
    overflow: [],
  };
}

function check(change, ...wanted) {
  assert.deepEqual(complaints({ ...good(), ...change }), wanted);
}

test('a good record passes', () => check({}));

test('a video that stops early is refused', () => {
  check({ ended: false }, 'the video did not end');
  check({ position: 4 }, 'it stopped at 4 s of 5.312 s');
  check({ played: [[0, 1], [4, 5.312]] }, 'only 2.31 s of 5.31 s were played');
});

test('a switch that did not happen is refused', () => {
  check({ switches: [] }, 'hls.js did not switch to level 2 after #quality chose it');
  check({ heightAtEnd: 360 }, 'after the switch the picture has 360 lines, not 720');
  check({ before: { level: 0, height: 720 } }, 'at level 0 the picture has 720 lines, not 360');
  check({ choices: ['auto', '0', '2'] }, '#quality offers the picture of level 1 0 times');
  check({ choices: ['0', '1', '2'] }, '#quality does not offer auto');
});

test('a picture with two kinds of sound beside it is one choice', () => {
  const levels = [...good().levels, { height: 720, picture: 'a' }];
  check({ levels });
  check({ levels, choices: ['auto', '0', '1', '2', '3'] }, '#quality offers the picture of level 3 2 times');
});

/** A record that `dash.mjs` makes of a good rung. */
function goodRung() {
  const rung = { width: 1280, height: 720 };
  const buffered = { video: [{ start: 0, end: 5.28 }], audio: [{ start: 0, end: 5.312 }] };
  return { ...good(), rung, shown: rung, buffered, promised: { video: 5.28, audio: 5.312 } };
}

function checkRung(change, ...wanted) {
  assert.deepEqual(dashComplaints({ ...goodRung(), ...change }), wanted);
}

test('a good rung passes', () => checkRung({}));

test('another rung than the one that was asked for is refused', () =>
  checkRung({ shown: { width: 640, height: 360 } }, 'the picture has 640x360 points, not 1280x720'));

test('sound that is shifted, in pieces or not there is refused', () => {
  const { buffered } = goodRung();
  const audio = [{ start: 0.021, end: 5.291 }];
  checkRung({ buffered: { ...buffered, audio } }, 'its audio begins at 0.021 s, not at 0', 'its audio ends at 5.291 s, and the manifest says 5.312');
  const pieces = [{ start: 0, end: 3 }, { start: 3.1, end: 5.312 }];
  checkRung({ buffered: { ...buffered, audio: pieces } }, 'its audio lies in 2 pieces in the buffer', 'its audio ends at 3 s, and the manifest says 5.312');
  checkRung(
    { buffered: { video: buffered.video } },
    'its audio lies in 0 pieces in the buffer',
    'its audio begins at NaN s, not at 0',
    'its audio ends at NaN s, and the manifest says 5.312',
  );
  checkRung({ fatal: ['3016'] }, 'Shaka gave up: 3016');
});

test('pictures that are blank, the same or too few are refused', () => {
  const { samples } = good();
  check({ samples: samples.map((s) => ({ ...s, deviation: 1 })) }, '16 of 16 pictures are blank');
  check({ samples: samples.map((s) => ({ ...s, change: 0 })) }, 'the picture stood still for 5.00 s');
  // It moves, stands still from the third picture to the eleventh, and moves on.
  check({ samples: samples.map((s, i) => (i > 2 && i < 11 ? { ...s, change: 0 } : s)) }, 'the picture stood still for 3.00 s');
  check({ samples: samples.slice(0, 9) }, 'only 9 pictures were seen, 10 are wanted');
});

test('whatever the page does wrong is told', () => {
  check({ fatal: ['mediaError: bufferAppendError'] }, 'hls.js gave up: mediaError: bufferAppendError');
  check({ violations: ['img-src forbids x'] }, 'the page breaks its own content security policy: img-src forbids x');
  check({ errors: ['oops'] }, "the page's console: oops");
  check({ strangers: ['https://cdn.example/'] }, 'the page asks another host: https://cdn.example/');
  check({ overflow: [{ width: 390, needs: 500 }] }, 'at 390 px the page is 500 px wide and must be scrolled sideways');
});
