// @ts-check
/// <reference lib="webworker" />
// Reads a file's frame in the worker, so that its pixels have the numbers that the command line has.

import { HIGH_RANGE } from "./file-stream.js";
import { readPixels } from "./pixels.js";

/** How much red and blue count in the brightness, by the name of a matrix (ITU-T H.273). */
const RED_AND_BLUE = /** @type {Record<string, [red: number, blue: number]>} */ ({
  bt470bg: [0.299, 0.114],
  smpte170m: [0.299, 0.114],
  bt709: [0.2126, 0.0722],
  "bt2020-ncl": [0.2627, 0.0593],
});
/** Planes with colours for two by two pixels, for two of a row and for each one, in 8 bits or in 10 or 12. */
const FORMAT = /^(?:I(420|422|444)(?:P(10|12))?|NV12)$/;

/**
 * @typedef {{
 *   width: number, height: number, bits: number, shared: [columns: boolean, rows: boolean],
 *   weights: [red: number, blue: number], fullRange: boolean, planes: { offset: number, stride: number, step: number }[],
 * }} Planes as the module takes them (`src/words/planes.rs`): brightness, blue-difference and red-difference
 */

/**
 * @param {import("./picture.js").Picture} picture is closed
 * @returns {Promise<{ planes: Planes, bytes: Uint8Array } | { width: number, height: number, rgba: Uint8Array }>}
 */
export async function readFrame(picture) {
  return (await readPlanes(picture)) ?? readPixels(picture);
}

/**
 * The frame as it was decoded, so that the module makes pixels of it as ffmpeg does: a browser rounds where ffmpeg cuts off, a
 * difference that probabilities show. What has opacity, a high range, oblong pixels or an odd size is left to the browser.
 *
 * @param {import("./picture.js").Picture} picture is closed where something is given
 */
async function readPlanes(picture) {
  if (picture.kind !== "image" || !("format" in picture.image)) return undefined;
  const frame = picture.image;
  const { visibleRect, colorSpace } = frame;
  const format = FORMAT.exec(frame.format ?? "");
  const weights = RED_AND_BLUE[colorSpace.matrix ?? ""];
  if (!format || !visibleRect || !weights || HIGH_RANGE.includes(colorSpace.transfer ?? "")) return undefined;
  const { width, height } = visibleRect;
  const isOblong = frame.displayWidth !== width || frame.displayHeight !== height;
  if (isOblong || width % 2 !== 0 || height % 2 !== 0) return undefined;
  const [, sampling = "420", bits = "8"] = format;
  const shared = /** @type {[boolean, boolean]} */ ([sampling !== "444", sampling === "420"]);
  const step = bits === "8" ? 1 : 2;
  try {
    const bytes = new Uint8Array(frame.allocationSize());
    const [y, u, v] = await frame.copyTo(bytes);
    // Without a third plane the second one has both colours by turns.
    const colours = v ? [{ ...u, step }, { ...v, step }] : [{ ...u, step: 2 }, { ...u, offset: u.offset + 1, step: 2 }];
    const planes = [{ ...y, step }, ...colours];
    return { planes: { width, height, bits: Number(bits), shared, weights, fullRange: colorSpace.fullRange ?? false, planes }, bytes };
  } finally {
    frame.close();
  }
}
