// Curves of the last minutes. A gap in what is known is a gap in the curve.

import { element, say, show } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
/** The curve's own units: seconds across, and a height. */
const SPAN = 300;
const HEIGHT = 48;

function shape(name, className) {
  const made = document.createElementNS(SVG, name);
  made.setAttribute("class", className);
  return made;
}

/** A card with a heading, the newest figure, a curve and a line of words. */
export function curveCard(title) {
  const svg = shape("svg", "");
  svg.setAttribute("viewBox", `0 0 ${SPAN} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const parts = {
    now: element("p", { className: "now" }),
    area: shape("path", "area"),
    ground: shape("path", "ground"),
    limit: shape("path", "limit"),
    line: shape("path", "line"),
    about: element("p", { className: "hint" }),
    svg,
  };
  parts.ground.setAttribute("d", `M0,${HEIGHT}H${SPAN}`);
  svg.append(parts.area, parts.ground, parts.limit, parts.line);
  const item = element("li", { className: "card curve" }, element("h3", {}, title), parts.now, svg, parts.about);
  return { title, item, ...parts };
}

/**
 * Draws a card. `points` are [seconds, figure or null], oldest first; `from` and `to` bound the scale, which grows where
 * a figure lies outside; `limit` is a line that should not be reached.
 */
export function drawCurve(card, points, { from, to, limit, told, about }) {
  const known = points.filter(([, figure]) => figure !== null);
  show(card.item, known.length > 0);
  if (known.length === 0) return;
  const figures = known.map(([, figure]) => figure);
  const low = Math.min(from, ...figures);
  const high = Math.max(to, ...figures, low + 1);
  const newest = points.at(-1)[0];
  const x = (seconds) => Math.max(0, SPAN - (newest - seconds)).toFixed(1);
  const y = (figure) => (HEIGHT - ((figure - low) / (high - low)) * HEIGHT).toFixed(1);
  const pieces = unbroken(points).map((piece) => piece.map(([seconds, figure]) => [x(seconds), y(figure)]));
  card.line.setAttribute("d", pieces.map((piece) => `M${piece.join("L")}${piece.length === 1 ? "h0.1" : ""}`).join(""));
  card.area.setAttribute("d", pieces.map((p) => `M${p[0][0]},${HEIGHT}L${p.join("L")}V${HEIGHT}Z`).join(""));
  const drawn = limit !== undefined && limit <= high;
  card.limit.setAttribute("d", drawn ? `M0,${y(limit)}H${SPAN}` : "");
  const last = points.at(-1)[1];
  say(card.now, last === null ? "–" : told(last));
  say(card.about, about ?? "");
  const range = `from ${told(Math.min(...figures))} to ${told(Math.max(...figures))}`;
  const label = `${card.title} in the last five minutes: ${range}`;
  if (card.svg.getAttribute("aria-label") !== label) card.svg.setAttribute("aria-label", label);
}

/** The stretches of points whose figures are known. */
function unbroken(points) {
  const pieces = [];
  let before = null;
  for (const point of points) {
    if (point[1] !== null) {
      if (before === null || before[1] === null) pieces.push([]);
      pieces.at(-1).push(point);
    }
    before = point;
  }
  return pieces;
}
