// Which weights files are read for which tasks, in Node.

import assert from "node:assert/strict";
import { test } from "node:test";

import { SOUND_ROLES, TASKS } from "../affectlens/names.js";
import { ROLES, gatherWeights, readManifest, rolesFor } from "../affectlens/weights.js";

const FACES = ["detector", "backbone", "pretrained", "head", "mesh"];
const VIOLENCE = ["violenceBackbone", "violenceHead"];
const POSE = ["poseDetector", "poseLandmarks"];
/** Files that are read in the place of others. */
const LARGER = ["poseLandmarksFull", "poseLandmarksHeavy"];

test("each task reads the files that it can use, and violence alone none of faces", () => {
  assert.deepEqual(rolesFor(["expression"]), FACES);
  const sorted = (roles) => ROLES.filter((role) => roles.includes(role));
  assert.deepEqual(rolesFor(["valence-arousal"]), sorted([...FACES, "valenceArousalHead"]));
  assert.deepEqual(rolesFor(["action-units"]), sorted([...FACES, "actionUnitsHead", "blendshapes"]));
  assert.deepEqual(rolesFor(["violence"]), VIOLENCE);
  assert.deepEqual(rolesFor(["violence", "expression"]), [...FACES, ...VIOLENCE]);
  assert.deepEqual(rolesFor(["pose"]), POSE);
  assert.deepEqual(rolesFor(TASKS, "auto", true), ROLES.filter((role) => !LARGER.includes(role)));
});

test("what sound is heard with is read only where it is asked for, whatever the tasks", () => {
  assert.deepEqual(rolesFor(["violence"], "short-range", true), [...VIOLENCE, ...SOUND_ROLES]);
  assert.deepEqual(rolesFor(["expression"], "short-range", true), [...FACES, ...SOUND_ROLES]);
  assert.deepEqual(rolesFor(TASKS, "auto"), ROLES.filter((role) => ![...SOUND_ROLES, ...LARGER].includes(role)));
});

test("only the detectors that are asked for are read", () => {
  const detectors = (detector) => rolesFor(["expression"], detector).filter((role) => /detector/i.test(role));
  assert.deepEqual(detectors(undefined), ["detector"]);
  assert.deepEqual(detectors("short-range"), ["detector"]);
  assert.deepEqual(detectors("full-range"), ["fullRangeDetector"]);
  assert.deepEqual(detectors("auto"), ["detector", "fullRangeDetector"]);
});

test("one network for the points of a body is read, the one that is asked for", () => {
  const points = (pose) => rolesFor(["pose", "expression"], "short-range", false, pose).filter((role) => /^poseLandmarks/.test(role));
  assert.deepEqual([points(undefined), points("lite")], [["poseLandmarks"], ["poseLandmarks"]]);
  assert.deepEqual([points("full"), points("heavy")], [["poseLandmarksFull"], ["poseLandmarksHeavy"]]);
  assert.deepEqual(rolesFor(["expression"], "short-range", false, "full"), FACES);
});

test("bytes that no task can use are left out, and missing ones are not made up", async () => {
  const files = { detector: new Uint8Array(1), violenceHead: new Uint8Array(2) };
  const gathered = (tasks) => gatherWeights({ kind: "bytes", files }, tasks, "short-range", false, assert.fail);
  assert.deepEqual(await gathered(["violence"]), { violenceHead: files.violenceHead });
  assert.deepEqual(await gathered(["expression"]), { detector: files.detector });
});

test("a manifest's violence files are read with whole addresses, and checked", () => {
  const file = { file: "violence-head.safetensors", bytes: 7, sha256: "0".repeat(64) };
  const url = "https://example.invalid/weights/violence-head.safetensors";
  const base = "https://example.invalid/weights/manifest.json";
  const read = (violenceHead) => readManifest({ files: { violenceHead, gaze: file } }, base);
  assert.deepEqual(read(file), { violenceHead: { url, bytes: 7, sha256: file.sha256 } });
  const broken = { code: "weights-malformed", message: /gives `violenceHead` 0 bytes, expected 1 to/ };
  assert.throws(() => read({ ...file, bytes: 0 }), broken);
});
