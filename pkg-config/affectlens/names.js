// @ts-check
// Written from the engine's tables by tests/native/names.rs, which also checks that both agree: do not edit.
// AFFECTLENS_WRITE_NAMES=1 cargo test -p affectlens --test native names

export const TASKS = ["expression", "valence-arousal", "action-units", "violence"];

export const FACE_TASKS = ["expression", "valence-arousal", "action-units"];

export const DEVICES = ["auto", "webgpu", "cpu"];

export const TASKS_OF_ROLE = {
  detector: ["expression", "valence-arousal", "action-units"],
  fullRangeDetector: ["expression", "valence-arousal", "action-units"],
  backbone: ["expression", "valence-arousal", "action-units"],
  pretrained: ["expression", "valence-arousal", "action-units"],
  head: ["expression", "valence-arousal", "action-units"],
  valenceArousalHead: ["valence-arousal"],
  actionUnitsHead: ["action-units"],
  mesh: ["expression", "valence-arousal", "action-units"],
  blendshapes: ["action-units"],
  violenceBackbone: ["violence"],
  violenceHead: ["violence"],
  voice: [],
  audioEncoder: [],
  audioExpressionHead: [],
};

export const SOUND_ROLES = ["voice", "audioEncoder", "audioExpressionHead"];

export const CONTROLS = [
  { part: "faces", name: "gla", flat: "gla", type: "boolean", expected: "a boolean" },
  { part: "faces", name: "halfWindow", flat: "halfWindow", type: "whole number", least: 0, most: 1000, expected: "a whole number from 0 to 1000" },
  { part: "faces", name: "valenceArousalHalfWindow", flat: "valenceArousalHalfWindow", type: "whole number", least: 0, most: 1000, expected: "a whole number from 0 to 1000" },
  { part: "faces", name: "actionUnitsHalfWindow", flat: "actionUnitsHalfWindow", type: "whole number", least: 0, most: 1000, expected: "a whole number from 0 to 1000" },
  { part: "faces", name: "confidence", flat: "confidence", type: "number", least: 0, most: 1, expected: "a number from 0 to 1" },
  { part: "faces", name: "blend", flat: "blend", type: "number", least: 0, most: 1, expected: "a number from 0 to 1" },
  { part: "faces", name: "landmarks", flat: "landmarks", type: "boolean", expected: "a boolean" },
  { part: "faces", name: "turned", flat: "turned", type: "boolean", expected: "a boolean" },
  { part: "faces", name: "detectorThreshold", flat: "detectorThreshold", type: "number", least: 0, most: 1, expected: "a number from 0 to 1" },
  { part: "faces", name: "faceWeight", flat: "faceWeight", type: "number", least: 0, most: 1, expected: "a number from 0 to 1" },
  { part: "faces", name: "speechOnly", flat: "speechOnly", type: "boolean", expected: "a boolean" },
  { part: "violence", name: "threshold", flat: "violenceThreshold", type: "number", least: 0, most: 1, expected: "a number from 0 to 1" },
  { part: "violence", name: "every", flat: "violenceEvery", type: "whole number", least: 1, most: 1000, expected: "a whole number from 1 to 1000" },
];
