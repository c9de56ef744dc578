// @ts-check
// Boxes and meshes over the picture.

import { percent } from "./format.js";
import { colour } from "./palette.js";

/**
 * @param {HTMLCanvasElement} canvas lies over the picture, of the same size
 * @param {{ width: number, height: number, isMirrored: boolean, hasMesh: boolean }} picture size in its own pixels
 * @param {readonly import("affectlens").FaceReport[]} faces
 * @param {number | undefined} chosen id of the face that the timeline shows
 */
export function drawFaces(canvas, picture, faces, chosen) {
  const { clientWidth, clientHeight } = canvas;
  const ratio = devicePixelRatio;
  const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  if (!context) return;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, clientWidth, clientHeight);
  const { scale, place } = fit(picture, { width: clientWidth, height: clientHeight });
  for (const face of faces) {
    const [x, y, boxWidth, boxHeight] = face.box;
    if (picture.hasMesh && face.landmarks) drawMesh(context, face.landmarks.map(([x, y]) => place(x, y)));
    const [left, top] = place(picture.isMirrored ? x + boxWidth : x, y);
    drawFace(context, face, [left, top, boxWidth * scale, boxHeight * scale], face.id === chosen, clientWidth);
  }
}

/**
 * Fits a picture into the middle of the stage with its sides in proportion.
 *
 * @param {{ width: number, height: number, isMirrored: boolean }} picture
 * @param {{ width: number, height: number }} stage
 * @returns {{ scale: number, place: (x: number, y: number) => [number, number] }} where a point of the picture lies
 */
export function fit({ width, height, isMirrored }, stage) {
  const scale = Math.min(stage.width / width, stage.height / height);
  const left = (stage.width - width * scale) / 2;
  const top = (stage.height - height * scale) / 2;
  return { scale, place: (x, y) => [left + (isMirrored ? width - x : x) * scale, top + y * scale] };
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {readonly [number, number][]} points stage pixels
 */
function drawMesh(context, points) {
  // Light dots with a dark edge are seen on light and dark skin.
  for (const [side, fill] of /** @type {const} */ ([[2.4, "rgb(0 0 0 / 0.55)"], [1.4, "#fff"]])) {
    context.fillStyle = fill;
    for (const [x, y] of points) context.fillRect(x - side / 2, y - side / 2, side, side);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("affectlens").FaceReport} face
 * @param {[number, number, number, number]} box stage pixels
 * @param {boolean} isChosen
 * @param {number} stageWidth
 */
function drawFace(context, { id, expression }, [x, y, width, height], isChosen, stageWidth) {
  context.strokeStyle = "rgb(0 0 0 / 0.6)";
  context.lineWidth = isChosen ? 5 : 4;
  context.strokeRect(x, y, width, height);
  context.strokeStyle = colour(`on-video-${expression?.label ?? "neutral"}`);
  context.lineWidth = isChosen ? 3 : 2;
  context.strokeRect(x, y, width, height);

  const text = expression ? `#${id} ${expression.label} ${percent(expression.confidence)}` : `#${id}`;
  context.font = `600 14px ${getComputedStyle(document.body).fontFamily}`;
  const textWidth = context.measureText(text).width + 12;
  const textLeft = Math.max(0, Math.min(x - 1, stageWidth - textWidth));
  const textTop = y >= 24 ? y - 24 : Math.max(0, y);
  context.fillStyle = "rgb(0 0 0 / 0.78)";
  context.fillRect(textLeft, textTop, textWidth, 22);
  context.fillStyle = "#fff";
  context.textBaseline = "middle";
  context.fillText(text, textLeft + 6, textTop + 11.5);
}
