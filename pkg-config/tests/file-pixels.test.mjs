// How a file's frames, as WebCodecs gives them, are handed to the module; it makes pixels of them (`src/words/planes.rs`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { readFrame } from "../affectlens/file-pixels.js";

const PARTS = { I420: [[0, 4], [8, 2], [10, 2]], NV12: [[0, 4], [8, 4]], I444P10: [[0, 8], [16, 8], [32, 8]] };

/** A frame of four by two pixels, whose bytes are numbered. */
function makeFrame({ format = "I420", matrix = "smpte170m", fullRange = false }) {
  return {
    format, isClosed: false, displayWidth: 4, displayHeight: 2,
    visibleRect: { width: 4, height: 2 },
    colorSpace: { matrix, fullRange, transfer: "iec61966-2-1" },
    allocationSize: () => (format === "I444P10" ? 48 : 12),
    copyTo: async (to) => (to.set([...to.keys()]), PARTS[format].map(([offset, stride]) => ({ offset, stride }))),
    close() { this.isClosed = true; },
  };
}

async function read(options) {
  const image = makeFrame(options);
  const { planes, bytes } = await readFrame({ kind: "image", image });
  assert.ok(image.isClosed);
  assert.deepEqual([...bytes], [...bytes.keys()]);
  return planes;
}

test("planes are handed over as they lie", async () => {
  assert.deepEqual(await read({}), {
    width: 4, height: 2, bits: 8, shared: [true, true], weights: [0.299, 0.114], fullRange: false,
    planes: [{ offset: 0, stride: 4, step: 1 }, { offset: 8, stride: 2, step: 1 }, { offset: 10, stride: 2, step: 1 }],
  });
});

test("two colours by turns are two planes that skip each other", async () => {
  const { planes } = await read({ format: "NV12" });
  assert.deepEqual(planes, [{ offset: 0, stride: 4, step: 1 }, { offset: 8, stride: 4, step: 2 }, { offset: 9, stride: 4, step: 2 }]);
});

test("matrix and range go along", async () => {
  const { weights, fullRange } = await read({ matrix: "bt709", fullRange: true });
  assert.deepEqual([weights, fullRange], [[0.2126, 0.0722], true]);
});

test("deep numbers have two bytes, and colours may be for each pixel", async () => {
  const { bits, shared, planes } = await read({ format: "I444P10" });
  assert.deepEqual([bits, shared], [10, [false, false]]);
  assert.deepEqual(planes, [0, 16, 32].map((offset) => ({ offset, stride: 8, step: 2 })));
});
