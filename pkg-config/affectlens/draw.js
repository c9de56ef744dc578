// @ts-check
// Reports over the picture that they are about.

import { drawBoxes, drawLabels, drawMesh } from "./draw-faces.js";
import { drawSkeletons } from "./draw-skeletons.js";
import { openSurface } from "./draw-surface.js";
import { ANYTHING, A_BOOLEAN, A_FUNCTION, A_TEXT, aNumber, oneOf, readFields } from "./fields.js";

export { drawBoxes, drawLabels, drawMesh, drawSkeletons, openSurface };
export { fitPicture } from "./draw-fit.js";

/** @type {Record<keyof import("./draw.js").DrawOptions, import("./fields.js").Field>} */
const OPTIONS = {
  boxes: A_BOOLEAN,
  labels: A_BOOLEAN,
  mesh: A_BOOLEAN,
  skeletons: A_BOOLEAN,
  mirrored: A_BOOLEAN,
  fit: oneOf(["contain", "cover", "fill", "none", "scale-down"]),
  position: A_TEXT,
  colour: A_FUNCTION,
  label: A_FUNCTION,
  personLabel: A_FUNCTION,
  font: A_TEXT,
  chosen: ANYTHING,
  visibility: aNumber("a number from 0 to 1", (value) => value >= 0 && value <= 1),
};

/**
 * @param {HTMLCanvasElement | OffscreenCanvas} canvas
 * @param {import("./draw.js").Shown} picture
 * @param {import("./draw.js").Drawable | null | undefined} report
 * @param {import("./draw.js").DrawOptions} [options]
 */
export function draw(canvas, picture, report, options = {}) {
  const { boxes = true, labels = true, mesh = true, skeletons = true } = readFields(options, OPTIONS);
  const surface = openSurface(canvas, picture, options);
  if (!surface || !report) return;
  const { faces, people = [] } = report;
  if (skeletons) drawSkeletons(surface, people, options);
  if (mesh) drawMesh(surface, faces);
  if (boxes) drawBoxes(surface, faces, options);
  if (labels) drawLabels(surface, faces, options);
}
