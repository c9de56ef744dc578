// What `load` and `analyze` are given is checked and completed, in Node.

import assert from "node:assert/strict";
import { test } from "node:test";

import { readListenOptions } from "../affectlens/listen.js";
import { readAnalyzeOptions, readCalibration, readOptions } from "../affectlens/options.js";

const weights = { files: {} };

test("the detector is the short range unless another one is asked for", () => {
  assert.equal(readOptions({ weights }).detector, "short-range");
  assert.equal(readOptions({ weights, detector: "auto" }).detector, "auto");
  const refusal = { code: "bad-argument", message: /detector.*one of auto, short-range, full-range/ };
  assert.throws(() => readOptions({ weights, detector: /** @type {any} */ ("far") }), refusal);
});

test("sound is heard only where it is asked for", () => {
  assert.equal(readOptions({ weights }).audio, false);
  assert.equal(readOptions({ weights, audio: true }).audio, true);
  const refusal = { code: "bad-argument", message: 'audio is "microphone", expected a boolean' };
  assert.throws(() => readOptions({ weights, audio: /** @type {any} */ ("microphone") }), refusal);
});

test("two people are looked for with the fastest network unless another number or network is asked for", () => {
  const { people, pose } = readOptions({ weights });
  assert.deepEqual([people, pose], [2, "lite"]);
  const chosen = readOptions({ weights, people: 100, pose: "heavy" });
  assert.deepEqual([chosen.people, chosen.pose], [100, "heavy"]);
  for (const people of [0, 101, -1, 1.5, NaN, Infinity, "2", null]) {
    const refusal = { code: "bad-argument", message: /^people is .*, expected a whole number from 1 to 100$/ };
    assert.throws(() => readOptions({ weights, people: /** @type {any} */ (people) }), refusal);
  }
  const refusal = { code: "bad-argument", message: 'pose is "tiny", expected one of lite, full, heavy' };
  assert.throws(() => readOptions({ weights, pose: /** @type {any} */ ("tiny") }), refusal);
});

test("a picture has a time or belongs to no stream", () => {
  assert.deepEqual(readAnalyzeOptions(undefined), {});
  assert.deepEqual(readAnalyzeOptions({ timeMs: 40 }), { timeMs: 40 });
  assert.deepEqual(readAnalyzeOptions({ single: true }), { single: true });
  assert.throws(() => readAnalyzeOptions({ single: 1 }), { code: "bad-argument", message: /single.*a boolean/ });
  assert.throws(() => readAnalyzeOptions({ timeMs: NaN }), { code: "bad-argument", message: /timeMs.*a finite number/ });
});

test("an option that is not known is named, beside those that are", () => {
  for (const [read, message] of [
    [(options) => readOptions({ weights, ...options }), /^options is "timeMS", expected one of tasks, audio, people, pose, detector, device, weights, /],
    [readAnalyzeOptions, /^options is "timeMS", expected one of single, timeMs$/],
    [readCalibration, /^options is "timeMS", expected one of seconds$/],
    [readListenOptions, /^options is "timeMS", expected one of own, clock, onLevel, signal$/],
  ]) {
    assert.throws(() => read({ timeMS: 40 }), { code: "bad-argument", message });
    // Of the prototype, no option.
    assert.throws(() => read({ toString: 1 }), { code: "bad-argument", message: /^options is "toString"/ });
  }
});
