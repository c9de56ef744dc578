// Which model follows a clip, in Node.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { AffectLensError } from "affectlens";

import { Session } from "../src/session.js";

/** A clip that stands still or plays, and shows no frame by itself. */
class Video extends EventTarget {
  paused = true;
  ended = false;
  seeking = false;
  srcObject = null;
  currentTime = 2;
  play = async () => void (this.paused = false);
  requestVideoFrameCallback = () => 1;
  cancelVideoFrameCallback() {}

  get [Symbol.toStringTag]() {
    return "HTMLVideoElement";
  }
}

/** A lens that remembers what it was asked. */
class Lens {
  asked = [];
  isDisposed = false;
  reset = async () => {};

  async analyze(_, { timeMs }) {
    if (this.isDisposed) throw new AffectLensError("disposed", "the lens is disposed");
    this.asked.push(timeMs);
    return { frame: 0, time_ms: timeMs, faces: [] };
  }
}

const settle = () => new Promise((resolve) => setImmediate(resolve));
let video;
let model;
let session;

beforeEach(() => {
  globalThis.document = Object.assign(new EventTarget(), { hidden: false });
  video = new Video();
  model = { lens: new Lens() };
  const listeners = { onReport() {}, onChange() {}, onRecovery() {} };
  session = new Session(model, { showing: "clip", video }, { report: assert.fail, clear() {} }, listeners);
});

/** Puts another model in place of the one that follows the clip. */
function exchangeModel() {
  model.lens.isDisposed = true;
  session.forget();
  model.lens = new Lens();
  return model.lens;
}

test("a clip that stands still is looked at with the model that was loaded anew", async () => {
  session.open("clip");
  video.paused = true;
  session.analysePausedFrame();
  await settle();
  assert.deepEqual(model.lens.asked, [2000]);
  const other = exchangeModel();
  session.analysePausedFrame();
  await settle();
  assert.deepEqual(other.asked, [2000]);
  assert.equal(session.latest?.time_ms, 2000);
  // It goes on with that one.
  session.analysePausedFrame();
  await settle();
  assert.deepEqual(other.asked, [2000, 2000]);
});

test("without a model nothing is looked at, and a clip that plays is left to its own frames", async () => {
  session.open("clip");
  const { lens } = model;
  model.lens = undefined;
  session.analysePausedFrame();
  [model.lens, video.paused] = [lens, false];
  session.analysePausedFrame();
  await settle();
  assert.deepEqual(lens.asked, []);
});
