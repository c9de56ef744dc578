// Settings in both spellings, in Node.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CONTROLS } from "../affectlens/names.js";
import { readCalibration } from "../affectlens/options.js";
import { SettingsInForce, readChange } from "../affectlens/settings.js";

test("flat and grouped names change the same settings", () => {
  const grouped = { faces: { halfWindow: 3, gla: false }, violence: { threshold: 0.4 } };
  assert.deepEqual(readChange(grouped), grouped);
  assert.deepEqual(readChange({ halfWindow: 3, gla: false, violenceThreshold: 0.4 }), grouped);
  assert.deepEqual(readChange({ halfWindow: 3, faces: { gla: false }, violence: { threshold: 0.4 } }), grouped);
  assert.deepEqual(readChange({}), {});
});

test("a refusal names the setting as it was written, and the settings that there are", () => {
  const flat = CONTROLS.map(({ flat }) => flat).join(", ");
  for (const [settings, message] of [
    [{ faces: { halfWindow: -1 } }, "faces.halfWindow is -1, expected a whole number from 0 to 1000"],
    [{ halfWindow: 1.5 }, "halfWindow is 1.5, expected a whole number from 0 to 1000"],
    [{ violence: { every: 0 } }, "violence.every is 0, expected a whole number from 1 to 1000"],
    [{ violence: { threshold: "half" } }, 'violence.threshold is "half", expected a number from 0 to 1'],
    [{ violence: { violenceEvery: 1 } }, 'violence is "violenceEvery", expected one of threshold, every'],
    [{ faces: 7 }, "faces is 7, expected an object"],
    [{ threshold: 0.5 }, `settings is "threshold", expected one of faces, violence, ${flat}`],
    [{ blend: 0, faces: { blend: 1 } }, "faces.blend is the same setting as blend, expected one of them"],
    [null, "settings is null, expected an object"],
  ]) {
    assert.throws(() => readChange(settings), { code: "bad-argument", message });
  }
});

test("settings in force are read in both spellings, and copied in the flat one", () => {
  const grouped = { faces: {}, violence: {} };
  for (const [index, { part, name }] of CONTROLS.entries()) grouped[part][name] = index;
  const settings = new SettingsInForce(grouped);
  assert.deepEqual([settings.faces, settings.violence], [grouped.faces, grouped.violence]);
  assert.deepEqual({ ...settings }, Object.fromEntries(CONTROLS.map(({ flat }, index) => [flat, index])));
  settings.faces.gla = "changed";
  assert.deepEqual(settings.faces, grouped.faces, "what is given away is a copy");
});

test("a neutral look lasts some seconds, three by default; null is none", () => {
  assert.deepEqual([{}, { seconds: 0.5 }, { seconds: 60 }, null].map(readCalibration), [3, 0.5, 60, undefined]);
  for (const seconds of [0, -1, 61, Number.NaN, "3"]) {
    const message = /^seconds is .*, expected a number above 0, at most 60$/;
    assert.throws(() => readCalibration({ seconds }), { code: "bad-argument", message });
  }
  for (const options of [3, [], "3"]) {
    assert.throws(() => readCalibration(options), { code: "bad-argument", message: /^options is .*, expected an object like/ });
  }
});
