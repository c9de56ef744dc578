// @ts-check
// Takes a copy of the picture that the caller gives, in a form that can move to the worker.

import { AffectLensError, badArgument, describe, tagOf, textOf } from "./errors.js";
import { refuseTooLarge, sizeOf } from "./picture-size.js";
import { within } from "./time-limit.js";
import { PATIENCE_MS, takeFrame } from "./video.js";

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
  "Blob",
  "File",
];

/**
 * Copies the picture that `source` shows now; the source stays the caller's.
 *
 * @param {unknown} source
 * @returns {Promise<Snapshot>}
 */
export async function takePicture(source) {
  const tag = tagOf(source);
  const shown = /** @type {any} */ (source);
  try {
    switch (tag) {
      case "HTMLVideoElement": {
        const frame = await takeFrame(shown);
        return ofImage(frame, shown.currentTime * 1000);
      }
      case "VideoFrame":
        if (shown.codedWidth === 0) throw empty("the VideoFrame is closed: pass it before you call its `close`");
        return ofImage(shown.clone(), shown.timestamp / 1000);
      case "ImageBitmap":
        if (shown.width === 0 || shown.height === 0) {
          throw empty("the ImageBitmap is closed, or was transferred to a worker: pass it before that");
        }
        refuseTooLarge(shown.width, shown.height);
        return ofImage(await createImageBitmap(shown));
      case "HTMLImageElement":
        await loadImage(shown);
        refuseTooLarge(shown.naturalWidth, shown.naturalHeight);
        return ofImage(await createImageBitmap(shown));
      case "HTMLCanvasElement":
      case "OffscreenCanvas":
        if (shown.width === 0 || shown.height === 0) throw tooSmall(shown.width, shown.height);
        refuseTooLarge(shown.width, shown.height);
        return ofImage(await createImageBitmap(shown));
      case "Blob":
      case "File":
        return ofImage(await decodeFile(shown));
      case "ImageData":
        // The browser converts other colours, and deeper ones, to those that the engine reads.
        if ((shown.colorSpace ?? "srgb") !== "srgb" || !isBytes(shown.data)) return ofImage(await createImageBitmap(shown));
        return ofPixels(shown);
      default:
        if (looksLikeImageData(source)) return ofPixels(shown);
    }
  } catch (error) {
    throw explain(error);
  }
  throw badArgument("picture", source, `${ACCEPTED.slice(0, -1).join(", ")} or ${ACCEPTED.at(-1)}`);
}

/**
 * Why a picture that was copied cannot move to the worker.
 *
 * @param {unknown} cause
 */
export function explainTransfer(cause) {
  if (/** @type {any} */ (cause)?.name === "DataCloneError") return tainted(cause);
  return new AffectLensError("picture-empty", `the picture cannot be handed to the worker: ${textOf(cause)}`, { cause });
}

/** @param {Picture} picture that is not handed on after all */
export function releasePicture(picture) {
  if (picture.kind === "image") picture.image.close();
}

/**
 * Waits for an image that is still loading.
 *
 * @param {HTMLImageElement} image
 */
async function loadImage(image) {
  if (image.complete && image.naturalWidth > 0) return;
  if (!image.currentSrc && !image.src && !image.srcset) throw empty("the image has nothing to show: set its `src`");
  const late = () => empty(`the image did not load within ${PATIENCE_MS / 1000} s: wait for its event "load"`);
  try {
    await within(PATIENCE_MS, image.decode(), late);
  } catch (cause) {
    if (cause instanceof AffectLensError) throw cause;
    throw empty(`the image \`${shorten(image.currentSrc || image.src)}\` is not there or cannot be decoded`, cause);
  }
}

/**
 * @param {Blob | File} file
 * @returns {Promise<ImageBitmap>}
 */
async function decodeFile(file) {
  try {
    return await createImageBitmap(file);
  } catch (cause) {
    const name = "name" in file ? `the file \`${file.name}\`` : "the Blob";
    const kind = `${file.type || "of unknown type"}, ${file.size} bytes`;
    const isVideo = file.type.startsWith("video/");
    const advice = isVideo ? ": show it in a <video> and pass that" : " that this browser can decode";
    throw empty(`${name} (${kind}) is no picture${advice}`, cause);
  }
}

/**
 * @param {ImageBitmap | VideoFrame} image is closed if it is refused
 * @param {number} [timeMs]
 * @returns {Snapshot}
 */
function ofImage(image, timeMs) {
  try {
    refuseTooLarge(...sizeOf(image));
  } catch (error) {
    image.close();
    throw error;
  }
  return { picture: { kind: "image", image }, transfer: [image], timeMs };
}

/**
 * @param {ImageData} pixels
 * @returns {Snapshot}
 */
function ofPixels({ width, height, data }) {
  if (!isBytes(data)) {
    throw new AffectLensError("bad-argument", `ImageData holds ${describe(data)}, expected 8-bit RGBA bytes`);
  }
  // The size is judged here so that a wrong one does not cost a trip to the worker.
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) throw tooSmall(width, height);
  const expected = width * height * 4;
  refuseTooLarge(width, height);
  if (data.length !== expected) {
    throw new AffectLensError(
      "picture-size",
      `picture of ${width}x${height} pixels has ${data.length} bytes, expected ${expected}`,
    );
  }
  const rgba = data.slice();
  return { picture: { kind: "rgba", width, height, rgba }, transfer: [rgba.buffer], timeMs: undefined };
}

/**
 * @param {unknown} data
 * @returns {data is Uint8ClampedArray<ArrayBuffer> | Uint8Array<ArrayBuffer>}
 */
function isBytes(data) {
  return ["Uint8ClampedArray", "Uint8Array"].includes(tagOf(data));
}

/** @param {unknown} value */
function looksLikeImageData(value) {
  return typeof value === "object" && value !== null && "data" in value && "width" in value && "height" in value;
}

/**
 * @param {string} message
 * @param {unknown} [cause]
 */
function empty(message, cause) {
  return new AffectLensError("picture-empty", message, { cause });
}

/**
 * @param {unknown} width
 * @param {unknown} height
 */
function tooSmall(width, height) {
  return new AffectLensError("picture-size", `picture is ${width}x${height}, expected at least 1x1 pixels`);
}

/** @param {unknown} cause */
function tainted(cause) {
  const hint = 'give its element `crossorigin="anonymous"`, and have its server answer with Access-Control-Allow-Origin';
  const message = `the picture comes from another origin without CORS, so its pixels cannot be read: ${hint}`;
  return new AffectLensError("picture-tainted", message, { cause });
}

/** @param {unknown} error */
function explain(error) {
  if (error instanceof AffectLensError) return error;
  // By name: what an iframe's objects throw is of the iframe's classes.
  if (/** @type {any} */ (error)?.name === "SecurityError") return tainted(error);
  return empty(`the picture cannot be read: ${textOf(error)}`, error);
}

/** @param {string} address a `data:` address can be as long as its picture */
function shorten(address) {
  return address.length > 100 ? `${address.slice(0, 100)}…` : address;
}
