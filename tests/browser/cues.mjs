// What may be said against subtitles that were seen in a browser.

/** How far a browser's text tracks may lag behind the picture, in seconds: it looks at them a few times a second. */
export const LAG = 0.4;

/** The lines of a SubRip file: start and end in seconds, and the text without markup. */
export function lines(srt) {
  const blocks = srt.replaceAll('\r', '').split(/\n\n+/).filter((block) => block.trim());
  return blocks.map((block) => {
    const [, times, ...text] = block.trim().split('\n');
    const [start, end] = times.split(' --> ').map(seconds);
    return { start, end, text: text.join('\n').replaceAll(/<[^>]*>/g, '') };
  });
}

function seconds(time) {
  const [hours, minutes, rest] = time.split(':');
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(rest.replace(',', '.'));
}

/** Complaints about what was on screen at each moment; `samples` hold a time and the texts that were shown then. */
export function cueComplaints(name, wanted, samples) {
  const said = [];
  for (const line of wanted) {
    const inside = samples.filter(({ time }) => time > line.start + LAG && time < line.end);
    if (inside.length === 0) said.push(`${name}: nothing was seen between ${line.start} s and ${line.end} s`);
    const missing = inside.find(({ texts }) => !texts.includes(line.text));
    if (missing) said.push(`${name}: at ${missing.time.toFixed(2)} s "${line.text}" was not shown`);
  }
  for (const { time, texts } of samples) {
    const strange = texts.find((text) => !wanted.some((line) => line.text === text && time >= line.start - 0.05 && time < line.end + LAG));
    if (strange !== undefined) {
      said.push(`${name}: at ${time.toFixed(2)} s "${strange}" was shown, and should not have been`);
      break;
    }
  }
  return said;
}
