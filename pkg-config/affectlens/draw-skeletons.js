// @ts-check
// Skeletons of people. Left and right are the person's, and differ by more than their colour: left is drawn in whole lines and
// round joints, right in broken lines and square joints.

/**
 * @typedef {import("./draw.js").Surface} Surface
 * @typedef {import("./draw.js").SkeletonStyle} SkeletonStyle
 * @typedef {import("./draw.js").Person} Person
 * @typedef {readonly [number, number]} Bone two points by their numbers
 */

/** The numbers of BlazePose's points. @type {Record<"left" | "right" | "middle", readonly Bone[]>} */
const BONES = {
  left: [
    [0, 1], [1, 2], [2, 3], [3, 7],
    [11, 13], [13, 15], [15, 17], [15, 19], [15, 21], [17, 19],
    [11, 23], [23, 25], [25, 27], [27, 29], [29, 31], [27, 31],
  ],
  right: [
    [0, 4], [4, 5], [5, 6], [6, 8],
    [12, 14], [14, 16], [16, 18], [16, 20], [16, 22], [18, 20],
    [12, 24], [24, 26], [26, 28], [28, 30], [30, 32], [28, 32],
  ],
  middle: [[9, 10], [11, 12], [23, 24]],
};
/** Each point of the head, in the order of the list; from the shoulders on odd ones are left. */
const LEFT_OF_HEAD = [1, 2, 3, 7, 9];
const [NOSE, FIRST_OF_BODY] = [0, 11];

const COLOURS = { left: "#ffb02e", right: "#58c4ff", middle: "#f2f5f4" };
const DASHES = { left: [], right: [6, 4], middle: [] };
/** CSS pixels. */
const [LINE, EDGE, JOINT] = [3, 2, 3.5];

/**
 * @param {Surface} surface
 * @param {readonly Person[]} people
 * @param {SkeletonStyle} [style]
 */
export function drawSkeletons(surface, people, { visibility = 0.5 } = {}) {
  for (const { keypoints } of people) {
    const points = keypoints.map(([x, y]) => surface.place(x, y));
    const isSeen = (/** @type {number} */ point) => (keypoints[point]?.[3] ?? 0) >= visibility;
    drawBones(surface.context, points, isSeen);
    drawJoints(surface.context, points, isSeen);
  }
}

/**
 * @param {Surface["context"]} context
 * @param {readonly [number, number][]} points
 * @param {(point: number) => boolean} isSeen
 */
function drawBones(context, points, isSeen) {
  context.save();
  context.lineCap = "round";
  for (const side of /** @type {const} */ (["middle", "right", "left"])) {
    context.beginPath();
    for (const [from, to] of BONES[side]) {
      if (!isSeen(from) || !isSeen(to)) continue;
      context.moveTo(...points[from]);
      context.lineTo(...points[to]);
    }
    context.setLineDash([]);
    context.strokeStyle = "rgb(0 0 0 / 0.6)";
    context.lineWidth = LINE + EDGE;
    context.stroke();
    context.setLineDash(DASHES[side]);
    context.strokeStyle = COLOURS[side];
    context.lineWidth = LINE;
    context.stroke();
  }
  context.restore();
}

/**
 * @param {Surface["context"]} context
 * @param {readonly [number, number][]} points
 * @param {(point: number) => boolean} isSeen
 */
function drawJoints(context, points, isSeen) {
  for (const [point, [x, y]] of points.entries()) {
    if (!isSeen(point)) continue;
    const side = sideOf(point);
    context.beginPath();
    if (side === "right") context.rect(x - JOINT, y - JOINT, 2 * JOINT, 2 * JOINT);
    else context.arc(x, y, JOINT, 0, 2 * Math.PI);
    context.fillStyle = COLOURS[side];
    context.fill();
    context.strokeStyle = "rgb(0 0 0 / 0.6)";
    context.lineWidth = 1;
    context.stroke();
  }
}

/** @param {number} point */
function sideOf(point) {
  if (point === NOSE) return "middle";
  const isLeft = point < FIRST_OF_BODY ? LEFT_OF_HEAD.includes(point) : point % 2 === 1;
  return isLeft ? "left" : "right";
}
