// @ts-check
/// <reference lib="webworker" />
// Reads the pixels of a picture in the worker: 8-bit sRGB, composed on black.

import { AffectLensError, textOf } from "./errors.js";
import { sizeOf } from "./picture-size.js";

/** A canvas of more pixels than a video frame has is not kept for the next picture. */
const KEPT_PIXELS = 2 ** 23;

/** @type {OffscreenCanvasRenderingContext2D | null} */
let canvas = null;

/**
 * @param {import("./picture.js").Picture} picture is closed
 * @returns {{ width: number, height: number, rgba: Uint8Array }}
 */
export function readPixels(picture) {
  if (picture.kind === "rgba") {
    const { buffer, byteOffset, byteLength } = picture.rgba;
    return { width: picture.width, height: picture.height, rgba: onBlack(new Uint8Array(buffer, byteOffset, byteLength)) };
  }
  const { image } = picture;
  const [width, height] = sizeOf(image);
  try {
    const { data } = draw(image, width, height);
    return { width, height, rgba: new Uint8Array(data.buffer) };
  } catch (cause) {
    if (cause instanceof AffectLensError) throw cause;
    const message = `picture of ${width}x${height} pixels cannot be drawn: ${textOf(cause)}`;
    throw new AffectLensError("picture-size", message, { cause });
  } finally {
    image.close();
    if (width * height > KEPT_PIXELS) canvas = null;
  }
}

/**
 * @param {ImageBitmap | VideoFrame} image
 * @param {number} width
 * @param {number} height
 */
function draw(image, width, height) {
  // A canvas without alpha is black where nothing is drawn.
  canvas ??= new OffscreenCanvas(width, height).getContext("2d", { alpha: false, willReadFrequently: true });
  if (!canvas) throw new AffectLensError("module-failed", "the browser gives no 2d canvas to the worker");
  if (canvas.canvas.width !== width || canvas.canvas.height !== height) {
    canvas.canvas.width = width;
    canvas.canvas.height = height;
  }
  canvas.globalCompositeOperation = "copy";
  canvas.drawImage(image, 0, 0, width, height);
  return canvas.getImageData(0, 0, width, height);
}

/** @param {Uint8Array} rgba is changed, and given back */
function onBlack(rgba) {
  for (let alpha = 3; alpha < rgba.length; alpha += 4) {
    if (rgba[alpha] === 255) continue;
    const share = rgba[alpha] / 255;
    for (let colour = alpha - 3; colour < alpha; colour++) rgba[colour] = Math.round(rgba[colour] * share);
    rgba[alpha] = 255;
  }
  return rgba;
}
