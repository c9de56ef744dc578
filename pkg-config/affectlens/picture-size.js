// @ts-check
// How large pictures are, and may be.

import { AffectLensError } from "./errors.js";

/**
 * Beyond these browsers draw nothing for some pictures, and say nothing. The module's memory holds seven bytes for each pixel
 * and never shrinks. The command line takes the same sides.
 */
const MOST_PIXELS = 2 ** 26;
const LONGEST_SIDE = 16_384;

/**
 * As it is shown.
 *
 * @param {ImageBitmap | VideoFrame} image
 * @returns {[width: number, height: number]}
 */
export function sizeOf(image) {
  return "displayWidth" in image ? [image.displayWidth, image.displayHeight] : [image.width, image.height];
}

/**
 * @param {number} width
 * @param {number} height
 */
export function refuseTooLarge(width, height) {
  const isWithin = width * height <= MOST_PIXELS && Math.max(width, height) <= LONGEST_SIDE;
  // What is no size at all is refused elsewhere.
  if (isWithin || !(width * height > 0)) return;
  const hint = "make it smaller first, with `createImageBitmap(picture, { resizeWidth: 4000 })` for example";
  const expected = `expected at most ${MOST_PIXELS} pixels and sides of at most ${LONGEST_SIDE}`;
  throw new AffectLensError("picture-size", `picture is ${width}x${height}, ${expected}: ${hint}`);
}
