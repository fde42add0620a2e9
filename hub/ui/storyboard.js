// The small pictures below the player: a strip that shows what is where, and goes there.

import { element, show } from "./words.js";

/** The pictures that an index names: start and end in seconds, the sheet, and the place on it. */
export function pictures(index) {
  const found = [];
  for (const block of index.split(/\n\n+/).slice(1)) {
    const [times, where] = block.trim().split("\n");
    const [start, end] = (times ?? "").split(" --> ").map(seconds);
    const [sheet, place] = (where ?? "").split("#xywh=");
    const [x, y, width, height] = (place ?? "").split(",").map(Number);
    if (end > start && width > 0 && height > 0) found.push({ start, end, sheet, x, y, width, height });
  }
  return found;
}

function seconds(time) {
  return time.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** Shows the strip of a published output for this video, if the output has small pictures. */
export async function strip(place, video, folder) {
  const answer = await fetch(`${folder}/storyboard.vtt`);
  if (!answer.ok) return;
  const all = pictures(await answer.text());
  const last = all.at(-1);
  if (!last) return;
  const picture = element("span", { className: "still" });
  const time = element("span", { className: "time" });
  const bubble = element("span", { className: "bubble", hidden: true }, picture, time);
  place.replaceChildren(bubble);
  const at = (event) => {
    const { left, width } = place.getBoundingClientRect();
    return Math.min(0.9999, Math.max(0, (event.clientX - left) / width)) * last.end;
  };
  place.addEventListener("pointermove", (event) => {
    const moment = at(event);
    draw(picture, all.find(({ end }) => moment < end) ?? last, folder);
    time.textContent = `${Math.floor(moment / 60)}:${String(Math.floor(moment % 60)).padStart(2, "0")}`;
    bubble.hidden = false;
    const half = bubble.offsetWidth / 2;
    const middle = (moment / last.end) * place.clientWidth;
    bubble.style.left = `${Math.min(Math.max(middle, half), place.clientWidth - half)}px`;
  });
  place.addEventListener("pointerleave", () => (bubble.hidden = true));
  place.addEventListener("click", (event) => (video.currentTime = at(event)));
  video.addEventListener("timeupdate", () => place.style.setProperty("--played", `${(video.currentTime / last.end) * 100}%`));
  show(place, true);
}

function draw(still, { sheet, x, y, width, height }, folder) {
  still.style.width = `${width}px`;
  still.style.height = `${height}px`;
  still.style.backgroundImage = `url("${folder}/${encodeURIComponent(sheet)}")`;
  still.style.backgroundPosition = `-${x}px -${y}px`;
}
