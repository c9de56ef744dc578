// Reports over pictures: where points lie, and what is drawn, in Node.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { draw, drawSkeletons, fitPicture, openSurface } from "../affectlens/draw.js";
import { CONNECTIONS, KEYPOINTS } from "../affectlens/names.js";

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

/** What a skeleton consists of, without its dark edges. */
function skeleton(visible, style) {
  const { canvas } = canvasOf();
  const surface = openSurface(canvas, { width: 300, height: 150 });
  const drawn = { lines: [], joints: [], edges: 0 };
  let [path, dashes] = [[], []];
  const context = {
    save() {},
    restore() {},
    setLineDash: (lengths) => (dashes = lengths),
    beginPath: () => (path = []),
    moveTo: (...point) => path.push(point),
    lineTo: (...point) => path.push(point),
    arc: () => path.push("circle"),
    rect: () => path.push("square"),
    stroke() {
      if (context.strokeStyle.startsWith("rgb")) drawn.edges += 1;
      else drawn.lines.push({ path, isDashed: dashes.length > 0, colour: context.strokeStyle, width: context.lineWidth });
    },
    fill() {
      if (!context.fillStyle.startsWith("rgb")) drawn.joints.push({ shape: path[0], colour: context.fillStyle });
    },
  };
  const keypoints = KEYPOINTS.map((name, row) => [row, 2 * row, 0, visible(name) ? 0.9 : 0.1]);
  drawSkeletons({ ...surface, context }, [{ keypoints }], style);
  return drawn;
}

test("left and right of a skeleton differ by more than their colour", () => {
  const { lines, joints, edges } = skeleton(() => true);
  assert.deepEqual([lines.length, edges, joints.length], [CONNECTIONS.length, CONNECTIONS.length, KEYPOINTS.length]);
  const shapes = { left: new Set(["circle"]), right: new Set(["square"]), none: new Set(["circle"]) };
  for (const [index, { shape }] of joints.entries()) {
    const [side = "none"] = /left|right/.exec(KEYPOINTS[index]) ?? [];
    assert.ok(shapes[side].has(shape), KEYPOINTS[index]);
  }
  const looks = new Set(lines.map(({ colour, isDashed }) => `${colour} ${isDashed}`));
  assert.deepEqual([...looks].filter((look) => look.endsWith("true")).length, 1, "one side is dashed");
  assert.equal(looks.size, 3);
  // Mouth, shoulders and hips.
  const thin = lines.filter(({ width }) => width < Math.max(...lines.map((line) => line.width)));
  assert.equal(thin.length, 3);
});

test("points of a skeleton that cannot be seen are left out with their lines", () => {
  const arm = skeleton((name) => ["left_shoulder", "left_elbow", "left_wrist"].includes(name));
  assert.deepEqual([arm.lines.length, arm.joints.length], [2, 3]);
  assert.equal(skeleton(() => false).lines.length, 0);
  assert.equal(skeleton(() => false, { visibility: 0 }).lines.length, CONNECTIONS.length);
});

test("skeletons are drawn with the faces", () => {
  const { canvas, calls } = canvasOf();
  const keypoints = Array.from({ length: 33 }, () => [1, 1, 0, 1]);
  draw(canvas, { width: 300, height: 150 }, { faces: [], people: [{ keypoints }] });
  // The left side and the nose, each with its edge.
  assert.equal(done(calls, "arc").length, 2 * 17);
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
