// @ts-check
// Takes a snapshot of whatever the caller shows us, in a form that can move to the worker.

import { AffectLensError, describe } from "./errors.js";

/**
 * @typedef {{ kind: "image", image: ImageBitmap | VideoFrame }} ImagePicture drawn and read by the worker
 * @typedef {{ kind: "rgba", width: number, height: number, rgba: Uint8ClampedArray | Uint8Array }} RgbaPicture read as it is
 * @typedef {ImagePicture | RgbaPicture} Picture
 * @typedef {{ picture: Picture, transfer: Transferable[], timeMs: number | undefined }} Snapshot
 */

/** @type {readonly string[]} */
const ACCEPTED = [
  "HTMLVideoElement",
  "VideoFrame",
  "ImageBitmap",
  "ImageData",
  "HTMLCanvasElement",
  "OffscreenCanvas",
  "HTMLImageElement",
];

/**
 * Copies the picture that `source` shows now; the source stays the caller's.
 *
 * @param {unknown} source
 * @returns {Promise<Snapshot>}
 */
export async function takePicture(source) {
  // By tag, not `instanceof`: pictures from an iframe count too, and there are no such classes in Node.
  const tag = Object.prototype.toString.call(source).slice(8, -1);
  const shown = /** @type {any} */ (source);
  try {
    switch (tag) {
      case "HTMLVideoElement":
        if (shown.readyState < 2 || shown.videoWidth === 0) throw empty("the video has no picture yet");
        return ofImage(await snapshotVideo(shown), shown.currentTime * 1000);
      case "VideoFrame":
        if (shown.codedWidth === 0) throw empty("the VideoFrame is closed");
        return ofImage(shown.clone(), shown.timestamp / 1000);
      case "ImageBitmap":
        if (shown.width === 0 || shown.height === 0) throw empty("the ImageBitmap is closed");
        return ofImage(await createImageBitmap(shown));
      case "HTMLImageElement":
        if (!shown.complete || shown.naturalWidth === 0) throw empty("the image is not loaded");
        return ofImage(await createImageBitmap(shown));
      case "HTMLCanvasElement":
      case "OffscreenCanvas":
        if (shown.width === 0 || shown.height === 0) throw tooSmall(shown.width, shown.height);
        return ofImage(await createImageBitmap(shown));
      default:
        if (tag === "ImageData" || looksLikeImageData(source)) return ofPixels(shown);
    }
  } catch (error) {
    throw explain(error);
  }
  throw new AffectLensError("bad-argument", `cannot look at ${describe(source)}, expected ${ACCEPTED.join(", ")}`);
}

/**
 * @param {HTMLVideoElement} video
 * @returns {Promise<ImageBitmap | VideoFrame>}
 */
async function snapshotVideo(video) {
  // A VideoFrame is a reference to the decoded picture, an ImageBitmap a copy of it.
  return typeof VideoFrame === "function" ? new VideoFrame(video) : createImageBitmap(video);
}

/**
 * @param {ImageBitmap | VideoFrame} image
 * @param {number} [timeMs]
 * @returns {Snapshot}
 */
function ofImage(image, timeMs) {
  return { picture: { kind: "image", image }, transfer: [image], timeMs };
}

/**
 * @param {ImageData} pixels
 * @returns {Snapshot}
 */
function ofPixels({ width, height, data }) {
  if (!(data instanceof Uint8ClampedArray || /** @type {any} */ (data) instanceof Uint8Array)) {
    throw new AffectLensError("bad-argument", `ImageData holds ${describe(data)}, expected 8-bit RGBA bytes`);
  }
  // The size is judged here so that a wrong one does not cost a trip to the worker.
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) throw tooSmall(width, height);
  const expected = width * height * 4;
  if (data.length !== expected) {
    throw new AffectLensError(
      "picture-size",
      `picture of ${width}x${height} pixels has ${data.length} bytes, expected ${expected}`,
    );
  }
  const rgba = data.slice();
  return { picture: { kind: "rgba", width, height, rgba }, transfer: [rgba.buffer], timeMs: undefined };
}

/** @param {unknown} value */
function looksLikeImageData(value) {
  return typeof value === "object" && value !== null && "data" in value && "width" in value && "height" in value;
}

/** @param {string} message */
function empty(message) {
  return new AffectLensError("picture-empty", message);
}

/**
 * @param {number} width
 * @param {number} height
 */
function tooSmall(width, height) {
  return new AffectLensError("picture-size", `picture is ${width}x${height}, expected at least 1x1 pixels`);
}

/**
 * @param {unknown} error
 * @returns {unknown}
 */
function explain(error) {
  if (!(error instanceof DOMException)) return error;
  if (error.name === "SecurityError") {
    const message = "the picture comes from another origin without CORS, so its pixels cannot be read";
    return new AffectLensError("picture-tainted", message, { cause: error });
  }
  return new AffectLensError("picture-empty", `the picture cannot be read: ${error.message}`, { cause: error });
}
