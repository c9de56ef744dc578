// @ts-check
// Skeletons of people. Left and right are the person's, and differ by more than their colour: left is drawn in whole lines and
// round joints, right in broken lines and square joints.

import { DEFAULT_FONT } from "./draw-surface.js";
import { CONNECTIONS, KEYPOINTS } from "./names.js";

/**
 * @typedef {import("./draw.js").Surface} Surface
 * @typedef {import("./draw.js").SkeletonStyle} SkeletonStyle
 * @typedef {import("./draw.js").Person} Person
 * @typedef {"left" | "right" | "middle"} Side
 * @typedef {{ colour: string, dashes: readonly number[], joint: "circle" | "square", width: number }} Look `dashes` and `width`
 *   in widths of a line
 */

/** @type {Record<Side, Look>} */
const LOOKS = {
  left: { colour: "#4fd6ea", dashes: [], joint: "circle", width: 1 },
  right: { colour: "#ffc533", dashes: [2.2, 1.6], joint: "square", width: 1 },
  middle: { colour: "#ffffff", dashes: [], joint: "circle", width: 0.6 },
};
/** Lines are this share of a person's longer side wide, within bounds in CSS pixels. */
const LINE_SHARE = 1 / 140;
const [THINNEST, THICKEST] = [1.5, 4];
/** How far a dark edge reaches around lines and joints: they are seen on light and dark clothes. */
const EDGE_PX = 1.5;
const EDGE = "rgb(0 0 0 / 0.65)";
/** Radius of a joint in widths of a line; the points of the face, which are those before the shoulders, lie close together. */
const [JOINT, FACE_POINT] = [1.5, 0.9];
const FIRST_JOINT = KEYPOINTS.indexOf("left_shoulder");

/** The side of each point, and of each connection: one that begins in the middle belongs to the side where it ends. */
const POINT_SIDES = KEYPOINTS.map(sideOf);
const CONNECTION_SIDES = CONNECTIONS.map(([from, to]) => {
  const sides = new Set([POINT_SIDES[from], POINT_SIDES[to]]);
  sides.delete("middle");
  const [side = "middle"] = sides;
  return sides.size === 1 ? side : "middle";
});

/**
 * @param {Surface} surface
 * @param {readonly Person[]} people
 * @param {SkeletonStyle} [style]
 */
export function drawSkeletons(surface, people, { visibility = 0.5, personLabel, font = DEFAULT_FONT } = {}) {
  const { context } = surface;
  context.save();
  for (const person of people) {
    /** @type {(readonly [number, number] | undefined)[]} */
    const points = person.keypoints.map(([x, y, , seen]) => (seen >= visibility ? surface.place(x, y) : undefined));
    drawSkeleton(context, points, unitOf(surface, person));
    const label = personLabel?.(person);
    if (label) drawLabel(surface, label, points, font);
  }
  context.restore();
}

/**
 * @param {Surface["context"]} context
 * @param {readonly (readonly [number, number] | undefined)[]} points
 * @param {number} unit width of a line
 */
function drawSkeleton(context, points, unit) {
  // All edges first: none lies over a line.
  for (const edge of [EDGE_PX, 0]) {
    CONNECTIONS.forEach(([from, to], index) => {
      const [start, end] = [points[from], points[to]];
      const look = LOOKS[CONNECTION_SIDES[index]];
      context.strokeStyle = edge > 0 ? EDGE : look.colour;
      context.lineWidth = look.width * unit + 2 * edge;
      context.setLineDash(look.dashes.map((length) => length * unit));
      if (start && end) drawLine(context, start, end);
    });
    points.forEach((point, index) => {
      const look = LOOKS[POINT_SIDES[index]];
      context.fillStyle = edge > 0 ? EDGE : look.colour;
      const radius = (index < FIRST_JOINT ? FACE_POINT : JOINT) * unit + edge;
      if (point) drawJoint(context, point, look.joint, radius);
    });
  }
}

/**
 * Width of the lines of a person, CSS pixels.
 *
 * @param {Surface} surface
 * @param {Person} person
 */
function unitOf({ scaleX, scaleY }, { keypoints }) {
  const [xs, ys] = [keypoints.map(([x]) => x), keypoints.map(([, y]) => y)];
  const longerSide = Math.max(scaleX * (Math.max(...xs) - Math.min(...xs)), scaleY * (Math.max(...ys) - Math.min(...ys)));
  return Math.min(THICKEST, Math.max(THINNEST, longerSide * LINE_SHARE));
}

/**
 * @param {string} name of a point
 * @returns {Side}
 */
function sideOf(name) {
  if (name.includes("left")) return "left";
  return name.includes("right") ? "right" : "middle";
}

/**
 * @param {Surface["context"]} context
 * @param {readonly [number, number]} start
 * @param {readonly [number, number]} end
 */
function drawLine(context, start, end) {
  context.beginPath();
  context.moveTo(...start);
  context.lineTo(...end);
  context.stroke();
}

/**
 * @param {Surface["context"]} context
 * @param {readonly [number, number]} point
 * @param {Look["joint"]} joint
 * @param {number} radius
 */
function drawJoint(context, [x, y], joint, radius) {
  context.beginPath();
  if (joint === "square") context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
  else context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

/**
 * Writes below the lowest point that can be seen: labels of faces stand above them.
 *
 * @param {Surface} surface
 * @param {string} label
 * @param {readonly (readonly [number, number] | undefined)[]} points
 * @param {string} font
 */
function drawLabel({ context, width, height }, label, points, font) {
  const seen = points.filter((point) => point !== undefined);
  if (seen.length === 0) return;
  const [x, y] = seen.reduce((lowest, point) => (point[1] > lowest[1] ? point : lowest));
  context.font = font;
  context.textBaseline = "bottom";
  context.textAlign = "center";
  context.setLineDash([]);
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.strokeStyle = "#000";
  context.fillStyle = "#fff";
  const half = context.measureText(label).width / 2 + 4;
  const place = /** @type {const} */ ([Math.min(width - half, Math.max(half, x)), Math.min(height - 4, y + 24)]);
  context.strokeText(label, ...place);
  context.fillText(label, ...place);
}
