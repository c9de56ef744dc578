// @ts-check
// How a frame of ours grows: with the faces in it, with its pixels, and with the tasks that look at it.

import { fetchFrames } from "./clip.js";

/** Between two frames. */
const STEP_MS = 40;
/** Frames until pools, tracks and just-in-time compilers have settled. */
const SETTLED = 4;

/**
 * @typedef {{ width: number, height: number, side: number, shown: number, part: [number, number, number, number] }} Picture a mosaic of
 *   that many frames along a side, of which so many are shown; `part` of each: left, top, width, height
 */

/** @type {ImageBitmap[]} */
let frames = [];
/** @type {any} */
let lens;
let timeMs = 0;

/** @param {Parameters<typeof fetchFrames>[0]} clip */
export async function readClip(clip) {
  frames = await Promise.all((await fetchFrames(clip)).map((frame) => createImageBitmap(frame)));
}

/** Loads the tasks, and forgets those before. */
export async function open(/** @type {string[]} */ tasks, /** @type {string} */ detector) {
  lens?.dispose();
  const { load } = await import("/affectlens/index.js");
  const workerUrl = new URL("./package_worker.js", import.meta.url);
  lens = await load({ device: "cpu", threads: 1, tasks, detector, weights: "/affectlens-weights/", workerUrl });
}

export function close() {
  lens?.dispose();
  lens = undefined;
}

/**
 * Looks at frames of one kind as those of a stream.
 *
 * @param {Picture} picture
 * @param {number} count frames that are timed
 * @returns {Promise<{ times: number[], found: number[] }>} milliseconds of each, and faces in it
 */
export async function look(picture, count) {
  await lens.reset();
  const [times, found] = [[], []];
  for (let frame = 0; frame < SETTLED + count; frame++) {
    const pixels = draw(picture, frame);
    const started = performance.now();
    const { faces } = await lens.analyze(pixels, { timeMs: (timeMs += STEP_MS) });
    if (frame < SETTLED) continue;
    times.push(performance.now() - started);
    found.push(faces?.length ?? 0);
  }
  return { times, found };
}

/** The wasm memory of the lens that is open, bytes. */
export function memory() {
  const channel = new BroadcastChannel("meter");
  return new Promise((resolve) => {
    channel.onmessage = ({ data }) => {
      if (!data.counts) return;
      channel.close();
      resolve(data.counts.wasmBytes);
    };
    channel.postMessage({ device: "cpu" });
  });
}

/**
 * @param {Picture} picture
 * @param {number} frame of the clip; its neighbours stand beside it
 */
function draw({ width, height, side, shown, part }, frame) {
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.fillStyle = "#808080";
  context.fillRect(0, 0, width, height);
  const [wide, high] = [width / side, height / side];
  for (let place = 0; place < shown; place++) {
    const [column, row] = [place % side, Math.floor(place / side)];
    context.drawImage(frames[(frame + place) % frames.length], ...part, column * wide, row * high, wide, high);
  }
  return context.getImageData(0, 0, width, height);
}
