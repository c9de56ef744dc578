// What counts as a picture, and what is said of one that does not, in Node.

import assert from "node:assert/strict";
import { test } from "node:test";
import { runInNewContext } from "node:vm";

import { readOptions } from "../affectlens/options.js";
import { takePicture } from "../affectlens/picture.js";
import { setGlobals } from "./fakes.mjs";

/** Another window's: its classes are not this one's. */
const iframe = runInNewContext(`({
  pixels: new Uint8ClampedArray([1, 2, 3, 255]),
  bytes: new Uint8Array(3),
  buffer: new ArrayBuffer(3),
  failure: (name) => Object.assign(new Error("no"), { name, code: 18 }),
})`);

test("pixels of an iframe are pixels", async () => {
  const data = { width: 1, height: 1, data: iframe.pixels };
  for (const source of [data, { ...data, [Symbol.toStringTag]: "ImageData" }]) {
    const { picture } = await takePicture(source);
    assert.deepEqual([...picture.rgba], [1, 2, 3, 255]);
  }
});

test("weights, addresses and signals of an iframe are what they are here", () => {
  const of = (tag) => ({ [Symbol.toStringTag]: tag, toString: () => "https://page.test/weights/" });
  const { weights } = readOptions({ weights: { detector: iframe.bytes, backbone: iframe.buffer, head: of("Blob") }, signal: of("AbortSignal") });
  assert.deepEqual([...weights.files.detector], [0, 0, 0]);
  assert.equal(weights.files.backbone.length, 3);
  assert.equal(readOptions({ weights: of("URL") }).weights.url, "https://page.test/weights/manifest.json");
});

test("whatever the browser throws for a picture is an error of the package", async (context) => {
  const canvas = { [Symbol.toStringTag]: "OffscreenCanvas", width: 4, height: 4 };
  for (const [thrown, code] of [
    [new TypeError("no"), "picture-empty"],
    [new RangeError("Array buffer allocation failed"), "picture-empty"],
    [new DOMException("no", "InvalidStateError"), "picture-empty"],
    [iframe.failure("SecurityError"), "picture-tainted"],
    ["no", "picture-empty"],
  ]) {
    const createImageBitmap = async () => {
      throw thrown;
    };
    setGlobals(context, { createImageBitmap });
    await assert.rejects(takePicture(canvas), { name: "AffectLensError", code });
  }
});

test("a picture of too many pixels is refused before it is copied", async (context) => {
  const createImageBitmap = async () => assert.fail("it was copied");
  setGlobals(context, { createImageBitmap });
  const sized = (tag, fields) => ({ [Symbol.toStringTag]: tag, width: 12_000, height: 9_000, ...fields });
  for (const source of [
    sized("HTMLCanvasElement"),
    sized("OffscreenCanvas"),
    sized("ImageBitmap"),
    sized("HTMLImageElement", { complete: true, naturalWidth: 12_000, naturalHeight: 9_000 }),
    sized("OffscreenCanvas", { width: 100_000, height: 1 }),
    sized("ImageData", { data: new Uint8ClampedArray(4) }),
    { ...sized("Object"), data: new Uint8Array(4) },
  ]) {
    await assert.rejects(takePicture(source), { code: "picture-size", message: /^picture is (12000x9000|100000x1), expected at most 67108864 pixels and sides of at most 16384: make it smaller/ });
  }
});
