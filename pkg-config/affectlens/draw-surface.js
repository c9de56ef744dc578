// @ts-check
// A canvas over a picture, ready to be drawn on in CSS pixels.

import { badArgument } from "./errors.js";
import { fitPicture } from "./draw-fit.js";

/**
 * @typedef {import("./draw.js").Surface} Surface
 * @typedef {import("./draw.js").SurfaceOptions} SurfaceOptions
 */

/** Of labels. */
export const DEFAULT_FONT = "600 14px system-ui, sans-serif";

/**
 * Clears a canvas, after giving it as many pixels as the screen has where it lies.
 *
 * @param {HTMLCanvasElement | OffscreenCanvas} canvas
 * @param {import("./draw.js").Shown} picture
 * @param {SurfaceOptions} [options]
 * @returns {Surface | undefined} nothing where the picture has no size yet
 */
export function openSurface(canvas, picture, options = {}) {
  if (typeof canvas?.getContext !== "function") throw badArgument("canvas", canvas, "an HTMLCanvasElement or OffscreenCanvas");
  if (typeof picture !== "object" || picture === null) throw badArgument("picture", picture, "the video, image or canvas that was analysed, or its size");
  const context = /** @type {Surface["context"] | null} */ (canvas.getContext("2d"));
  if (!context) throw badArgument("canvas", canvas, "one that has no context other than 2d");
  const { width, height, ratio } = measure(canvas);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const size = sizeOf(picture);
  if (!(size.width > 0 && size.height > 0 && width > 0 && height > 0)) return undefined;
  const style = styleOf(picture);
  const { fit = style?.fit, position = style?.position, mirrored = style?.mirrored ?? false } = options;
  return { context, width, height, mirrored, ...fitPicture(size, { width, height }, { fit, position, mirrored }) };
}

/**
 * The size of a canvas in the pixels that are drawn in, and how many of its own each has. One that is not in a page keeps its size.
 *
 * @param {HTMLCanvasElement | OffscreenCanvas} canvas
 */
function measure(canvas) {
  const { clientWidth = 0, clientHeight = 0 } = /** @type {HTMLCanvasElement} */ (canvas);
  if (clientWidth === 0 || clientHeight === 0) return { width: canvas.width, height: canvas.height, ratio: 1 };
  const ratio = globalThis.devicePixelRatio || 1;
  const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
  // To set a size, even the same one, makes the browser allocate the canvas anew.
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  return { width: clientWidth, height: clientHeight, ratio };
}

/** @param {any} picture */
function sizeOf(picture) {
  const width = picture.videoWidth ?? picture.naturalWidth ?? picture.displayWidth ?? picture.width;
  const height = picture.videoHeight ?? picture.naturalHeight ?? picture.displayHeight ?? picture.height;
  return { width, height };
}

/**
 * How an element of the page fits its picture into itself, and whether it shows it as in a mirror.
 *
 * @param {any} picture
 */
function styleOf(picture) {
  if (!picture.isConnected || typeof globalThis.getComputedStyle !== "function") return undefined;
  const { objectFit, objectPosition, transform, scale } = getComputedStyle(picture);
  const mirrored = transform?.startsWith("matrix(-1,") || scale?.startsWith("-1");
  return { fit: /** @type {import("./draw.js").Fit} */ (objectFit), position: objectPosition, mirrored };
}
