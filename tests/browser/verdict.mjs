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

/** All complaints of a record that `dash.mjs` made of one rung. */
export function dashComplaints(record) {
  return [...ofPlaying(record), ...ofRung(record), ...ofPictures(record), ...ofErrors(record, 'Shaka')];
}

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
  if (!choices.includes('auto')) yield '#quality does not offer auto';
  // Levels that differ only in the sound beside them are one choice.
  const pictures = new Map(levels.map(({ picture }, index) => [picture, index]));
  for (const [picture, index] of pictures) {
    const times = choices.filter((choice) => levels[choice]?.picture === picture).length;
    if (times !== 1) yield `#quality offers the picture of level ${index} ${times} times`;
  }
  if (levels[before.level]?.height !== before.height) {
    yield `at level ${before.level} the picture has ${before.height} lines, not ${levels[before.level]?.height}`;
  }
  if (!switches.includes(wanted)) yield `hls.js did not switch to level ${wanted} after #quality chose it`;
  if (heightAtEnd !== levels[wanted].height) {
    yield `after the switch the picture has ${heightAtEnd} lines, not ${levels[wanted].height}`;
  }
}

/** How far what lies in the browser's buffer may be from what the manifest says, in seconds. */
const BUFFER_TOLERANCE = 0.002;

/**
 * The rung that was asked for is shown, and its samples lie where the manifest says: the browser shifts each track by its
 * edit list, so a manifest that shifted it as well would show here, as sound beside the picture.
 */
function* ofRung({ rung, shown, buffered, promised }) {
  if (shown.width !== rung.width || shown.height !== rung.height) {
    yield `the picture has ${shown.width}x${shown.height} points, not ${rung.width}x${rung.height}`;
  }
  for (const [kind, end] of Object.entries(promised)) {
    const ranges = buffered[kind] ?? [];
    if (ranges.length !== 1) yield `its ${kind} lies in ${ranges.length} pieces in the buffer`;
    const [{ start, end: last } = { start: NaN, end: NaN }] = ranges;
    if (!(Math.abs(start) <= BUFFER_TOLERANCE)) yield `its ${kind} begins at ${start} s, not at 0`;
    if (!(Math.abs(last - end) <= BUFFER_TOLERANCE)) yield `its ${kind} ends at ${last} s, and the manifest says ${end}`;
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

function* ofErrors({ fatal, violations, errors, strangers }, player = 'hls.js') {
  for (const error of fatal) yield `${player} gave up: ${error}`;
  for (const violation of violations) yield `the page breaks its own content security policy: ${violation}`;
  for (const error of errors) yield `the page's console: ${error}`;
  for (const address of strangers) yield `the page asks another host: ${address}`;
}

function* ofPage({ overflow }) {
  for (const { width, needs } of overflow) yield `at ${width} px the page is ${needs} px wide and must be scrolled sideways`;
}
