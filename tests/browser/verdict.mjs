// What can be said against a record of a play: values in, complaints out.

/** How far from the end the playing position may stop, in seconds. */
const END_TOLERANCE = 0.3;
/** Of how much of the video the player may have shown nothing, in seconds: a switch of quality costs a moment. */
const GAP_TOLERANCE = 0.5;
/** Below these, on a scale of 0 to 255, a picture is of one colour, or two pictures are the same. */
const BLANK_BELOW = 4;
const STILL_BELOW = 0.2;
/**
 * How long the picture may stand still, in seconds of the video: the clip moves all the time, but a busy machine drops
 * frames. Chromium freezes it until the next keyframe when a switch of quality replaces what is on show (hls.js
 * `currentLevel`), but not with `nextLevel`.
 */
const STILL_TOLERANCE = 2;

/** All complaints of a record that `play.mjs` made. */
export function complaints(record) {
  return [...ofPlaying(record), ...ofSwitching(record), ...ofPictures(record), ...ofErrors(record), ...ofPage(record)];
}

function* ofPlaying({ ended, duration, position, played }) {
  if (!ended) yield 'the video did not end';
  if (!(duration > 0)) yield `its duration is ${duration}`;
  else if (Math.abs(duration - position) > END_TOLERANCE) yield `it stopped at ${position} s of ${duration} s`;
  const shown = played.reduce((sum, [from, to]) => sum + to - from, 0);
  if (duration - shown > GAP_TOLERANCE) yield `only ${shown.toFixed(2)} s of ${duration.toFixed(2)} s were played`;
}

function* ofSwitching({ choices, levels, before, wanted, switches, heightAtEnd }) {
  const expected = ['auto', ...levels.map((_, index) => String(index))];
  for (const choice of expected) {
    if (!choices.includes(choice)) yield `#quality does not offer ${choice}`;
  }
  if (levels[before.level]?.height !== before.height) {
    yield `at level ${before.level} the picture has ${before.height} lines, not ${levels[before.level]?.height}`;
  }
  if (!switches.includes(wanted)) yield `hls.js did not switch to level ${wanted} after #quality chose it`;
  if (heightAtEnd !== levels[wanted].height) {
    yield `after the switch the picture has ${heightAtEnd} lines, not ${levels[wanted].height}`;
  }
}

function* ofPictures({ samples, duration }) {
  const wanted = Math.floor(duration / 0.5);
  if (samples.length < wanted) yield `only ${samples.length} pictures were seen, ${wanted} are wanted`;
  const blank = samples.filter(({ deviation }) => deviation < BLANK_BELOW);
  if (blank.length > samples.length / 4) yield `${blank.length} of ${samples.length} pictures are blank`;
  const still = longestStill(samples);
  if (still > STILL_TOLERANCE) yield `the picture stood still for ${still.toFixed(2)} s`;
}

/** The longest time without a picture that differs from the one before, in seconds. */
function longestStill(samples) {
  let since = samples[0]?.at;
  let longest = 0;
  for (const { at, change } of samples) {
    longest = Math.max(longest, at - since);
    if (change > STILL_BELOW) since = at;
  }
  return longest;
}

function* ofErrors({ fatal, violations, errors, strangers }) {
  for (const error of fatal) yield `hls.js gave up: ${error}`;
  for (const violation of violations) yield `the page breaks its own content security policy: ${violation}`;
  for (const error of errors) yield `the page's console: ${error}`;
  for (const address of strangers) yield `the page asks another host: ${address}`;
}

function* ofPage({ overflow }) {
  for (const { width, needs } of overflow) yield `at ${width} px the page is ${needs} px wide and must be scrolled sideways`;
}
