// Reports over pictures: where points lie, and what is drawn, in Node.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { draw, drawSkeletons, fitPicture, openSurface } from "../affectlens/draw.js";

/** A canvas that remembers what is done to it. */
function canvasOf(fields = {}) {
  const calls = [];
  const state = { calls, dashes: [] };
  const context = new Proxy(state, {
    get: (_, name) => {
      if (name === "measureText") return (text) => ({ width: 8 * text.length });
      return (...parameters) => calls.push([name, ...parameters]);
    },
    set: (_, name, value) => Boolean(calls.push([`${String(name)} =`, value])),
  });
  return { canvas: { width: 300, height: 150, getContext: () => context, ...fields }, calls };
}
const done = (calls, name) => calls.filter(([call]) => call === name).map(([, ...parameters]) => parameters);

const face = (fields) => ({ id: 0, box: [10, 20, 30, 40], score: 0.9, ...fields });
const expression = { label: "happiness", confidence: 0.934, source: "head", probabilities: { happiness: 0.934 } };

afterEach(() => {
  delete globalThis.devicePixelRatio;
  delete globalThis.getComputedStyle;
});

test("pictures lie as CSS fits them", () => {
  const picture = { width: 100, height: 50 };
  const box = { width: 200, height: 200 };
  const at = (x, y, how) => fitPicture(picture, box, how).place(x, y);
  assert.deepEqual(at(10, 0), [20, 50]);
  assert.deepEqual(at(10, 0, { fit: "cover" }), [-60, 0]);
  assert.deepEqual(at(10, 10, { fit: "fill" }), [20, 40]);
  assert.deepEqual(at(10, 10, { fit: "none" }), [60, 85]);
  assert.deepEqual(at(10, 10, { fit: "scale-down" }), [60, 85]);
  assert.deepEqual(fitPicture({ width: 400, height: 200 }, box, { fit: "scale-down" }).place(0, 0), [0, 50]);
  assert.deepEqual(at(0, 0, { position: "0% 0%" }), [0, 0]);
  assert.deepEqual(at(0, 0, { position: "100% 100%" }), [0, 100]);
  assert.deepEqual(at(0, 0, { fit: "none", position: "7px 25%" }), [7, 37.5]);
  assert.deepEqual(at(0, 0, { position: "calc(1% + 1px)" }), [0, 50]);
});

test("a mirrored picture is mirrored with the edges of its element", () => {
  const how = { mirrored: true };
  assert.deepEqual(fitPicture({ width: 100, height: 50 }, { width: 200, height: 200 }, how).place(10, 50), [180, 150]);
  assert.deepEqual(fitPicture({ width: 100, height: 100 }, { width: 200, height: 100 }, { ...how, position: "0% 0%" }).place(0, 0), [200, 0]);
});

test("a canvas has as many pixels as the screen has where it lies, and keeps them", () => {
  globalThis.devicePixelRatio = 1.5;
  const sizes = [];
  const { canvas, calls } = canvasOf({ clientWidth: 200, clientHeight: 101 });
  for (const side of ["width", "height"]) {
    let held = 1;
    Object.defineProperty(canvas, side, { get: () => held, set: (value) => sizes.push((held = value)) });
  }
  draw(canvas, { width: 100, height: 50 }, { faces: [] });
  draw(canvas, { width: 100, height: 50 }, { faces: [] });
  assert.deepEqual(sizes, [300, 152]);
  assert.deepEqual(done(calls, "setTransform")[0], [1.5, 0, 0, 1.5, 0, 0]);
  assert.deepEqual(done(calls, "clearRect")[0], [0, 0, 200, 101]);
});

test("a canvas that is in no page keeps its size", () => {
  const { canvas, calls } = canvasOf();
  draw(canvas, { width: 300, height: 150 }, { faces: [face({})] });
  assert.deepEqual([canvas.width, canvas.height], [300, 150]);
  assert.deepEqual(done(calls, "strokeRect"), Array(2).fill([10, 20, 30, 40]));
});

test("the picture's element says how it is fitted, and whether it is a mirror; options say it instead", () => {
  globalThis.getComputedStyle = () => ({ objectFit: "cover", objectPosition: "0% 50%", transform: "matrix(-1, 0, 0, 1, 0, 0)", scale: "none" });
  const video = { isConnected: true, videoWidth: 300, videoHeight: 300 };
  const { canvas, calls } = canvasOf();
  draw(canvas, video, { faces: [face({})] });
  assert.deepEqual(done(calls, "strokeRect")[0], [260, -55, 30, 40]);
  calls.length = 0;
  draw(canvas, video, { faces: [face({})] }, { mirrored: false, fit: "fill" });
  assert.deepEqual(done(calls, "strokeRect")[0], [10, 10, 30, 20]);
});

test("labels tell number, expression and how sure it is, inside the canvas", () => {
  const { canvas, calls } = canvasOf();
  const faces = [face({ expression, box: [290, 100, 30, 40] }), face({ id: 1, box: [10, 5, 30, 40] })];
  draw(canvas, { width: 300, height: 150 }, { faces });
  const [told, bare] = done(calls, "fillText");
  assert.equal(told[0], "#0 happiness 93 %");
  assert.ok(told[1] + 8 * told[0].length <= 300, "it ends before the edge");
  assert.equal(bare[0], "#1");
  assert.equal(bare[2], 5 + 11.5, "no room above");
  calls.length = 0;
  draw(canvas, { width: 300, height: 150 }, { faces }, { label: ({ id }) => (id ? "me" : ""), colour: () => "red", chosen: 1 });
  assert.deepEqual(done(calls, "fillText").map(([text]) => text), ["me"]);
  assert.ok(done(calls, "strokeStyle =").some(([colour]) => colour === "red"));
  assert.deepEqual(done(calls, "lineWidth =").flat(), [4, 2, 5, 3]);
});

test("parts are left out on demand, and the mesh is drawn where there is one", () => {
  const { canvas, calls } = canvasOf();
  const report = { faces: [face({ expression, landmarks: [[1, 2, 3], [4, 5, 6]] })] };
  draw(canvas, { width: 300, height: 150 }, report, { boxes: false, labels: false });
  assert.deepEqual([done(calls, "strokeRect").length, done(calls, "fillRect").length], [0, 4]);
  calls.length = 0;
  draw(canvas, { width: 300, height: 150 }, report, { mesh: false, labels: false });
  assert.deepEqual([done(calls, "strokeRect").length, done(calls, "fillRect").length], [2, 0]);
});

test("without a report, and before a video knows its size, the canvas is only cleared", () => {
  for (const [picture, report] of [[{ width: 10, height: 10 }, undefined], [{ videoWidth: 0, videoHeight: 0 }, { faces: [face({})] }]]) {
    const { canvas, calls } = canvasOf();
    draw(canvas, picture, report);
    assert.deepEqual(calls.map(([name]) => name), ["setTransform", "clearRect"]);
  }
});

test("left and right of a skeleton differ by more than their colour, and what cannot be seen is left out", () => {
  const { canvas, calls } = canvasOf();
  const person = (visible) => ({ keypoints: Array.from({ length: 33 }, (_, point) => [point, 2 * point, 0, visible(point) ? 0.9 : 0.1]) });
  const surface = openSurface(canvas, { width: 300, height: 150 });
  const seen = (visible, style) => {
    calls.length = 0;
    drawSkeletons(surface, [person(visible)], style);
    // The name of each call and what it was for: circles are left, squares right; broken lines right.
    const dashes = done(calls, "setLineDash").map(([lengths]) => lengths.length);
    return { circles: done(calls, "arc").length, squares: done(calls, "rect").length, lines: done(calls, "moveTo").length, dashes };
  };
  // 33 points: 16 left, 16 right, and the nose; 16 bones on each side and three between them.
  assert.deepEqual(seen(() => true), { circles: 17, squares: 16, lines: 35, dashes: [0, 0, 0, 2, 0, 0] });
  // The left arm: shoulder, elbow, wrist.
  assert.deepEqual(seen((point) => [11, 13, 15].includes(point)), { circles: 3, squares: 0, lines: 2, dashes: [0, 0, 0, 2, 0, 0] });
  assert.deepEqual(seen((point) => [12, 14].includes(point)).squares, 2);
  assert.equal(seen(() => false, { visibility: 0 }).lines, 35);
});

test("skeletons are drawn with the faces", () => {
  const { canvas, calls } = canvasOf();
  const keypoints = Array.from({ length: 33 }, () => [1, 1, 0, 1]);
  draw(canvas, { width: 300, height: 150 }, { faces: [], people: [{ keypoints }] });
  assert.equal(done(calls, "arc").length, 17);
  calls.length = 0;
  draw(canvas, { width: 300, height: 150 }, { faces: [], people: [{ keypoints }] }, { skeletons: false });
  assert.equal(done(calls, "arc").length, 0);
});

test("what cannot be drawn on, is no picture, or is no option is refused", () => {
  const { canvas } = canvasOf();
  const refused = (parameters, message) => assert.throws(() => draw(...parameters), { code: "bad-argument", message });
  refused([{}, { width: 1, height: 1 }], "canvas is Object, expected an HTMLCanvasElement or OffscreenCanvas");
  refused([canvas, null], /^picture is null, expected the video/);
  refused([canvas, { width: 1, height: 1 }, undefined, { mirror: true }], /^options is "mirror", expected one of boxes, labels, /);
  refused([{ getContext: () => null }, { width: 1, height: 1 }], /^canvas is Object, expected one that has no context other than 2d/);
});
