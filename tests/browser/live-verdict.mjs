// What can be said against a record of watching a live stream: values in, complaints out.

/** How far from live a player may be, in target durations. */
const TARGETS = 3;
/** The part of the time in which the picture must have moved: two drops and a takeover cost some of it. */
const PLAYED = 0.7;

/** The files that a playlist names. */
export function listed(text) {
  const names = text.split('\n').flatMap((line) => {
    const quoted = line.match(/URI="([^"]+)"/);
    if (quoted) return [quoted[1]];
    return line && !line.startsWith('#') ? [line] : [];
  });
  return [...new Set(names)];
}

/** All complaints of a record that `live.mjs` made over so many seconds. */
export function liveComplaints({ samples, missing, asked, fatal, job }, seconds) {
  const found = [];
  if (asked < seconds) found.push(`only ${asked} listed files were asked for`);
  if (missing.length) found.push(`${missing.length} listed files were missing, e.g. ${missing[0]}`);
  for (const error of fatal) found.push(`the player gave up: ${error}`);
  const far = samples.filter(({ behind, target }) => behind > TARGETS * target);
  if (far.length) found.push(`${far.length} of ${samples.length} times more than ${TARGETS} target durations behind, once ${Math.max(...far.map(({ behind }) => behind)).toFixed(1)} s`);
  const played = samples.slice(1).reduce((sum, now, i) => sum + Math.min(Math.max(now.position - samples[i].position, 0), (now.at - samples[i].at) / 1000 * 1.3), 0);
  if (played < PLAYED * seconds) found.push(`only ${played.toFixed(0)} s of ${seconds} s were played`);
  if (job?.state !== 'done') found.push(`the job is ${job?.state} after it was stopped`);
  return found;
}
