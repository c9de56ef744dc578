// @ts-check
/// <reference lib="webworker" />
// Reads the pixels of a file's frame in the worker, upright, with the numbers that the command line has.

import { HIGH_RANGE } from "./file-stream.js";
import { readPixels } from "./pixels.js";

/** How much red and blue count in the brightness, by the name of a matrix (ITU-T H.273). */
const RED_AND_BLUE = /** @type {Record<string, [red: number, blue: number]>} */ ({
  bt470bg: [0.299, 0.114],
  smpte170m: [0.299, 0.114],
  bt709: [0.2126, 0.0722],
  "bt2020-ncl": [0.2627, 0.0593],
});
/** Numbers of brightness and colour have three binary places, factors thirteen; products keep what is above the sixteenth. */
const [NUMBER, FACTOR, PRODUCT_BITS] = [8, 8192, 16];

/**
 * @param {import("./picture.js").Picture} picture is closed
 * @param {number} turn degrees clockwise that put it upright: 0, 90, 180 or 270
 * @returns {Promise<{ width: number, height: number, rgba: Uint8Array }>}
 */
export async function readFrame(picture, turn) {
  const pixels = (await readPlanes(picture)) ?? readPixels(picture);
  return turn === 0 ? pixels : turned(pixels, turn);
}

/**
 * The frame from its planes, if it has those of most videos: 8 bits, colours for each two by two pixels. Browsers round when they
 * make pixels of them and ffmpeg cuts off, which is a difference that probabilities show.
 *
 * @param {import("./picture.js").Picture} picture is closed where something is given
 */
async function readPlanes(picture) {
  if (picture.kind !== "image" || !("format" in picture.image)) return undefined;
  const frame = picture.image;
  const { format, visibleRect, colorSpace } = frame;
  const weights = RED_AND_BLUE[colorSpace.matrix ?? ""];
  if ((format !== "I420" && format !== "NV12") || !visibleRect || !weights || HIGH_RANGE.includes(colorSpace.transfer ?? "")) return undefined;
  const { width, height } = visibleRect;
  const isOblong = frame.displayWidth !== width || frame.displayHeight !== height;
  if (isOblong || width % 2 !== 0 || height % 2 !== 0) return undefined;
  try {
    const planes = new Uint8Array(frame.allocationSize());
    const layout = await frame.copyTo(planes);
    return { width, height, rgba: toPixels({ planes, layout, width, height }, makeTables(weights, colorSpace.fullRange ?? false)) };
  } finally {
    frame.close();
  }
}

/**
 * What each value of a plane adds to a colour.
 *
 * @param {[red: number, blue: number]} weights
 * @param {boolean} isFullRange
 */
function makeTables([red, blue], isFullRange) {
  const green = 1 - red - blue;
  const [black, brightness, colour] = isFullRange ? [0, 1, 1] : [16, 255 / 219, 255 / 224];
  const table = (/** @type {number} */ zero, /** @type {number} */ factor) => {
    const whole = Math.round(factor * FACTOR);
    return Int16Array.from({ length: 256 }, (_, value) => ((value - zero) * NUMBER * whole) >> PRODUCT_BITS);
  };
  return {
    light: table(black, brightness),
    redOfV: table(128, 2 * (1 - red) * colour),
    greenOfU: table(128, ((-2 * (1 - blue) * blue) / green) * colour),
    greenOfV: table(128, ((-2 * (1 - red) * red) / green) * colour),
    blueOfU: table(128, 2 * (1 - blue) * colour),
  };
}

/**
 * @param {{ planes: Uint8Array, layout: PlaneLayout[], width: number, height: number }} frame
 * @param {ReturnType<typeof makeTables>} tables
 */
function toPixels({ planes, layout, width, height }, { light, redOfV, greenOfU, greenOfV, blueOfU }) {
  const [y, u, v] = layout;
  // Without a third plane the second one has both colours by turns.
  const step = v ? 1 : 2;
  const betweenColours = v ? v.offset - u.offset : 1;
  const rgba = new Uint8ClampedArray(width * height * 4);
  for (let row = 0, at = 0; row < height; row++) {
    const line = y.offset + row * y.stride;
    const colourLine = u.offset + (row >> 1) * u.stride;
    for (let column = 0; column < width; column++, at += 4) {
      const colour = colourLine + (column >> 1) * step;
      const [lit, ofU, ofV] = [light[planes[line + column]], planes[colour], planes[colour + betweenColours]];
      rgba[at] = lit + redOfV[ofV];
      rgba[at + 1] = lit + greenOfU[ofU] + greenOfV[ofV];
      rgba[at + 2] = lit + blueOfU[ofU];
      rgba[at + 3] = 255;
    }
  }
  return new Uint8Array(rgba.buffer);
}

/**
 * @param {{ width: number, height: number, rgba: Uint8Array }} pixels
 * @param {number} turn 90, 180 or 270 degrees clockwise
 */
function turned({ width, height, rgba }, turn) {
  const from = new Uint32Array(rgba.buffer, rgba.byteOffset, width * height);
  const to = new Uint32Array(from.length);
  // Where the first pixel goes, and how far the next one of its row and of its column goes from there.
  const [start, right, down] = {
    90: [height - 1, height, -1],
    180: [from.length - 1, -1, -width],
    270: [(width - 1) * height, -height, 1],
  }[turn] ?? [0, 1, width];
  for (let row = 0, at = 0; row < height; row++) {
    for (let column = 0, place = start + row * down; column < width; column++, place += right) to[place] = from[at++];
  }
  const isLying = turn % 180 !== 0;
  return { width: isLying ? height : width, height: isLying ? width : height, rgba: new Uint8Array(to.buffer) };
}
