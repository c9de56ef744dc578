// The pixels of a file's frames, from planes as WebCodecs gives them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { readFrame } from "../affectlens/file-pixels.js";

/** A frame of four by two pixels: its brightness, and a red-difference and a blue-difference for each two by two. */
function makeFrame({ y, u = [128, 128], v = [128, 128], format = "I420", matrix = "smpte170m", fullRange = false }) {
  const colours = format === "I420" ? [...u, ...v] : [u[0], v[0], u[1], v[1]];
  const planes = Uint8Array.from([...y, ...colours]);
  const parts = [{ offset: 0, stride: 4 }, { offset: 8, stride: format === "I420" ? 2 : 4 }, { offset: 10, stride: 2 }];
  return {
    format, isClosed: false, displayWidth: 4, displayHeight: 2,
    visibleRect: { width: 4, height: 2 },
    colorSpace: { matrix, fullRange, transfer: "iec61966-2-1" },
    allocationSize: () => planes.length,
    copyTo: async (to) => (to.set(planes), format === "I420" ? parts : parts.slice(0, 2)),
    close() { this.isClosed = true; },
  };
}

async function pixelsOf(options, turn = 0) {
  const image = makeFrame(options);
  const { width, height, rgba } = await readFrame({ kind: "image", image }, turn);
  assert.ok(image.isClosed);
  assert.equal(rgba.length, width * height * 4);
  const pixels = Array.from({ length: width * height }, (_, at) => [...rgba.subarray(at * 4, at * 4 + 4)]);
  return { width, height, pixels };
}

const RAMP = [16, 50, 100, 150, 180, 200, 220, 235];

test("grey stays grey, from black to white, in either range", async () => {
  const { pixels } = await pixelsOf({ y: RAMP });
  assert.deepEqual(pixels.map(([red]) => red), [0, 39, 97, 156, 190, 214, 237, 255]);
  assert.ok(pixels.every(([red, green, blue, alpha]) => red === green && green === blue && alpha === 255));
  const full = await pixelsOf({ y: RAMP, fullRange: true });
  assert.deepEqual(full.pixels.map(([red]) => red), RAMP);
});

test("colours are those of ffmpeg, which cuts off where browsers round", async () => {
  // ffmpeg -f rawvideo -pix_fmt yuv420p -s 16x2 -i - [-vf scale=in_color_matrix=bt709] -f rawvideo -pix_fmt rgb24 -
  const planes = { y: Array(8).fill(126), u: [90, 200], v: [200, 60] };
  const { pixels } = await pixelsOf(planes);
  assert.deepEqual([pixels[0], pixels[2]], [[242, 83, 51, 255], [19, 154, 255, 255]]);
  const high = await pixelsOf({ ...planes, matrix: "bt709" });
  assert.deepEqual([high.pixels[0], high.pixels[2]], [[255, 97, 47, 255], [6, 148, 255, 255]]);
  assert.deepEqual(await pixelsOf({ ...planes, format: "NV12" }), { width: 4, height: 2, pixels });
});

test("what is too bright or too dark for a colour is cut off", async () => {
  const { pixels } = await pixelsOf({ y: [235, 235, 16, 16, 235, 235, 16, 16], v: [255, 0] });
  assert.deepEqual([pixels[0][0], pixels[2][0]], [255, 0]);
});

for (const [turn, corner] of [[0, 0], [90, 1], [180, 7], [270, 6]]) {
  test(`turned by ${turn} degrees the first pixel lies where it is seen`, async () => {
    const { width, height, pixels } = await pixelsOf({ y: RAMP }, turn);
    assert.deepEqual([width, height], turn % 180 === 0 ? [4, 2] : [2, 4]);
    assert.equal(pixels.findIndex(([red]) => red === 0), corner);
    const straight = await pixelsOf({ y: RAMP });
    assert.deepEqual(pixels.map(String).sort(), straight.pixels.map(String).sort());
    // The neighbour to the right lies below, and so on.
    const next = corner + { 0: 1, 90: 2, 180: -1, 270: -2 }[turn];
    assert.equal(pixels[next][0], 39);
  });
}
