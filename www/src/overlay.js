// @ts-check
// Boxes, meshes and skeletons over the picture.

import { draw } from "affectlens/draw";

/**
 * @param {HTMLCanvasElement} canvas lies over the picture, of the same size
 * @param {{ width: number, height: number, isMirrored: boolean, hasMesh: boolean, hasSkeletons: boolean }} picture size in its
 *   own pixels
 * @param {import("affectlens/draw").Drawable | undefined} report
 * @param {number | undefined} chosen id of the face that the timeline shows
 */
export function drawReport(canvas, { isMirrored, hasMesh, hasSkeletons, ...size }, report, chosen) {
  const font = `600 14px ${getComputedStyle(document.body).fontFamily}`;
  const parts = { mesh: hasMesh, skeletons: hasSkeletons };
  draw(canvas, size, report, { ...parts, mirrored: isMirrored, chosen, font, personLabel: ({ id }) => `person ${id}` });
}
