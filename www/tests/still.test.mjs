// The picture of a file, in Node.

import assert from "node:assert/strict";
import { test } from "node:test";

import { decodePicture } from "../src/still.js";

/** Decodes to a picture of that size, and remembers what was made and closed. */
function browserOf(context, size) {
  const pictures = [];
  globalThis.createImageBitmap = async (source, { resizeWidth, resizeHeight } = {}) => {
    if (!size) throw new DOMException("no", "InvalidStateError");
    const [width, height] = resizeWidth ? [resizeWidth, resizeHeight] : size;
    const made = { width, height, isClosed: false, close: () => (made.isClosed = true) };
    pictures.push(made);
    return made;
  };
  context.after(() => delete globalThis.createImageBitmap);
  return pictures;
}

test("a picture is as large as in its file", async (context) => {
  browserOf(context, [4000, 3000]);
  const { width, height } = await decodePicture({}, "photo.jpg");
  assert.deepEqual([width, height], [4000, 3000]);
});

test("a very large one is made smaller, and the large one is closed", async (context) => {
  const pictures = browserOf(context, [12_000, 9_000]);
  const { width, height } = await decodePicture({}, "photo.jpg");
  assert.deepEqual([width, height], [6688, 5016]);
  assert.deepEqual(pictures.map(({ isClosed }) => isClosed), [true, false]);
});

test("what the browser cannot decode is named", async (context) => {
  browserOf(context, undefined);
  await assert.rejects(decodePicture({}, "notes.txt"), { message: "This browser cannot read notes.txt." });
});
