// @ts-check
// Boxes and meshes over the picture.

import { draw } from "affectlens/draw";

/**
 * @param {HTMLCanvasElement} canvas lies over the picture, of the same size
 * @param {{ width: number, height: number, isMirrored: boolean, hasMesh: boolean }} picture size in its own pixels
 * @param {readonly import("affectlens").FaceReport[]} faces
 * @param {number | undefined} chosen id of the face that the timeline shows
 */
export function drawFaces(canvas, { isMirrored, hasMesh, ...size }, faces, chosen) {
  const font = `600 14px ${getComputedStyle(document.body).fontFamily}`;
  draw(canvas, size, { faces }, { mirrored: isMirrored, mesh: hasMesh, chosen, font });
}
