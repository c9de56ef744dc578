// @ts-check
// Draws boxes over the picture.

import { colour } from "./palette.js";

/**
 * @param {HTMLCanvasElement} canvas lies over the picture, of the same size
 * @param {{ width: number, height: number, isMirrored: boolean }} picture size in its own pixels
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
  // The picture is fitted into the stage with its sides in proportion.
  const scale = Math.min(clientWidth / picture.width, clientHeight / picture.height);
  const left = (clientWidth - picture.width * scale) / 2;
  const top = (clientHeight - picture.height * scale) / 2;
  for (const face of faces) {
    const [x, y, boxWidth, boxHeight] = face.box.map((value) => value * scale);
    const boxLeft = left + (picture.isMirrored ? picture.width * scale - x - boxWidth : x);
    drawFace(context, face, [boxLeft, top + y, boxWidth, boxHeight], face.id === chosen, clientWidth);
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
  context.strokeStyle = colour(`on-video-${expression.label}`);
  context.lineWidth = isChosen ? 3 : 2;
  context.strokeRect(x, y, width, height);

  const text = `#${id} ${expression.label} ${percent(expression.confidence)}`;
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

/** @param {number} share */
export function percent(share) {
  return `${Math.round(share * 100)} %`;
}
