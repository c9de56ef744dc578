// @ts-check
// Skeletons over the picture. The two sides of a body differ in line and joint, not in colour alone.

import { CONNECTIONS, KEYPOINTS } from "affectlens";

import { fit } from "./overlay.js";
import { colour } from "./palette.js";

/**
 * @typedef {import("affectlens").PersonReport} PersonReport
 * @typedef {"left" | "right" | "middle"} Side left and right are the person's
 * @typedef {{ dashes: readonly number[], joint: "circle" | "square", width: number }} Look `dashes` and `width` in widths of a
 *   line
 */

/** Points that are less likely to be seen are guesses: they are left out. */
export const SEEN = 0.5;
/** Lines are this share of a person's longer side wide, within bounds in CSS pixels. */
const LINE_SHARE = 1 / 140;
const [THINNEST, THICKEST] = [1.5, 4];
/** How far a dark edge reaches around lines and joints: they are seen on light and dark clothes. */
const EDGE_PX = 1.5;
const EDGE = "rgb(0 0 0 / 0.65)";
/** Radius of a joint in widths of a line; the points of the face, which are those before the shoulders, lie close together. */
const [JOINT, FACE_POINT] = [1.5, 0.9];
const FIRST_JOINT = KEYPOINTS.indexOf("left_shoulder");

/** How each side is drawn; the key below the picture shows the same. */
const LOOKS = /** @type {const} @satisfies {Record<Side, Look>} */ ({
  middle: { dashes: [], joint: "circle", width: 0.6 },
  left: { dashes: [], joint: "circle", width: 1 },
  right: { dashes: [2.2, 1.6], joint: "square", width: 1 },
});

/** The side of each point, and of each connection: one that begins in the middle belongs to the side where it ends. */
const POINT_SIDES = KEYPOINTS.map(sideOf);
const CONNECTION_SIDES = CONNECTIONS.map(([from, to]) => {
  const sides = new Set([POINT_SIDES[from], POINT_SIDES[to]]);
  sides.delete("middle");
  const [side = "middle"] = sides;
  return sides.size === 1 ? side : "middle";
});

/**
 * Draws the skeletons of people over what the canvas shows already.
 *
 * @param {HTMLCanvasElement} canvas lies over the picture, of the same size; its unit is a CSS pixel
 * @param {{ width: number, height: number, isMirrored: boolean }} picture size in its own pixels
 * @param {readonly PersonReport[]} people
 */
export function drawPeople(canvas, picture, people) {
  const context = canvas.getContext("2d");
  if (!context) return;
  const { scale, place } = fit(picture, { width: canvas.clientWidth, height: canvas.clientHeight });
  const colours = { left: colour("on-video-left"), right: colour("on-video-right"), middle: colour("on-video-middle") };
  for (const person of people) drawSkeleton(context, person, { place, scale, colours, label: `person ${person.id}` });
}

/**
 * Draws the points of a body that can be seen and the lines between them: the left side solid with round joints, the right
 * side dashed with square ones.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {PersonReport} person
 * @param {{ place: (x: number, y: number) => [number, number], scale: number, colours: Record<Side, string>, label?: string }} options
 *   `place`: where a point of the picture lies on the canvas; `scale`: canvas pixels to one of the picture
 */
export function drawSkeleton(context, { box, keypoints }, { place, scale, colours, label }) {
  const points = keypoints.map(([x, y, , visibility]) => (visibility >= SEEN ? place(x, y) : undefined));
  const longerSide = Math.max(box[2], box[3]) * scale;
  const unit = Math.min(THICKEST, Math.max(THINNEST, longerSide * LINE_SHARE));
  context.save();
  // All edges first: none lies over a line.
  for (const edge of [EDGE_PX, 0]) {
    CONNECTIONS.forEach(([from, to], index) => {
      const [start, end] = [points[from], points[to]];
      const side = CONNECTION_SIDES[index];
      context.strokeStyle = edge > 0 ? EDGE : colours[side];
      if (start && end) drawLine(context, start, end, LOOKS[side], unit, edge);
    });
    points.forEach((point, index) => {
      const side = POINT_SIDES[index];
      context.fillStyle = edge > 0 ? EDGE : colours[side];
      const radius = (index < FIRST_JOINT ? FACE_POINT : JOINT) * unit + edge;
      if (point) drawJoint(context, point, LOOKS[side], radius);
    });
  }
  if (label) drawLabel(context, label, points);
  context.restore();
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
 * @param {CanvasRenderingContext2D} context
 * @param {[number, number]} start
 * @param {[number, number]} end
 * @param {Look} look
 * @param {number} unit width of a line, canvas pixels
 * @param {number} edge how much wider it is on each side
 */
function drawLine(context, start, end, look, unit, edge) {
  context.lineWidth = look.width * unit + 2 * edge;
  context.setLineDash(look.dashes.map((length) => length * unit));
  context.beginPath();
  context.moveTo(...start);
  context.lineTo(...end);
  context.stroke();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {[number, number]} point
 * @param {Look} look
 * @param {number} radius
 */
function drawJoint(context, [x, y], look, radius) {
  context.beginPath();
  if (look.joint === "square") context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
  else context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

/**
 * Writes below the lowest point that can be seen: names of faces stand above them.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {string} label
 * @param {readonly ([number, number] | undefined)[]} points
 */
function drawLabel(context, label, points) {
  const seen = points.filter((point) => point !== undefined);
  const { clientWidth, clientHeight } = context.canvas;
  const [x, y] = seen.reduce((lowest, point) => (point[1] > lowest[1] ? point : lowest), [0, -Infinity]);
  if (seen.length === 0) return;
  context.font = `600 14px ${getComputedStyle(document.body).fontFamily}`;
  context.textBaseline = "bottom";
  context.textAlign = "center";
  context.setLineDash([]);
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.strokeStyle = "#000";
  context.fillStyle = "#fff";
  const half = context.measureText(label).width / 2 + 4;
  const place = /** @type {const} */ ([Math.min(clientWidth - half, Math.max(half, x)), Math.min(clientHeight - 4, y + 24)]);
  context.strokeText(label, ...place);
  context.fillText(label, ...place);
}
