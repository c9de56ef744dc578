// @ts-check
// Written from the engine's tables by tests/native/names.rs, which also checks that both agree: do not edit.
// AFFECTLENS_WRITE_NAMES=1 cargo test -p affectlens --test native names

export const TASKS = ["expression", "valence-arousal", "action-units", "violence", "pose"];

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
  poseDetector: ["pose"],
  poseLandmarks: ["pose"],
  poseLandmarksFull: ["pose"],
  poseLandmarksHeavy: ["pose"],
};

export const SOUND_ROLES = ["voice", "audioEncoder", "audioExpressionHead"];

export const KEYPOINTS = ["nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer", "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel", "right_heel", "left_foot_index", "right_foot_index"];

export const CONNECTIONS = [[0, 1], [1, 2], [2, 3], [3, 7], [0, 4], [4, 5], [5, 6], [6, 8], [9, 10], [11, 12], [11, 23], [12, 24], [23, 24], [11, 13], [13, 15], [15, 17], [15, 19], [15, 21], [17, 19], [23, 25], [25, 27], [27, 29], [27, 31], [29, 31], [12, 14], [14, 16], [16, 18], [16, 20], [16, 22], [18, 20], [24, 26], [26, 28], [28, 30], [28, 32], [30, 32]];

export const DEFAULT_PEOPLE = 2;

export const MOST_PEOPLE = 100;

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
