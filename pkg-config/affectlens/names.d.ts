// Written from the engine's tables by tests/native/names.rs, which also checks that both agree: do not edit.
// AFFECTLENS_WRITE_NAMES=1 cargo test -p affectlens --test native names

/** What can be reported. */
export type Task = "expression" | "valence-arousal" | "action-units" | "violence" | "pose";

/** Where to run. */
export type DeviceChoice = "auto" | "webgpu" | "cpu";

/** Where a model runs. */
export type DeviceKind = "webgpu" | "cpu";

/** A weights file by what it is for. */
export type WeightsRole = "detector" | "fullRangeDetector" | "backbone" | "pretrained" | "head" | "valenceArousalHead" | "actionUnitsHead" | "mesh" | "blendshapes" | "violenceBackbone" | "violenceHead" | "voice" | "audioEncoder" | "audioExpressionHead" | "poseDetector" | "poseLandmarks" | "poseLandmarksFull" | "poseLandmarksHeavy";

/** Facial expressions. */
export type ExpressionName = "neutral" | "anger" | "disgust" | "fear" | "happiness" | "sadness" | "surprise" | "other" | "contempt";

/** Names of the Facial Action Coding System. */
export type ActionUnitName = "AU1" | "AU2" | "AU4" | "AU5" | "AU6" | "AU7" | "AU10" | "AU12" | "AU14" | "AU15" | "AU17" | "AU20" | "AU23" | "AU24" | "AU25" | "AU26" | "AU28" | "AU45";

/** The classifier that decided on an expression. */
export type ExpressionSource = "pretrained" | "head" | "blend";

/** The part of the model that gives valence and arousal. */
export type ValenceArousalSource = "head" | "backbone" | "derived";

/** The part of the model that gives action units. */
export type ActionUnitSource = "head" | "blendshapes";

/** The points of a body; left and right are the person's. */
export type KeypointName = "nose" | "left_eye_inner" | "left_eye" | "left_eye_outer" | "right_eye_inner" | "right_eye" | "right_eye_outer" | "left_ear" | "right_ear" | "mouth_left" | "mouth_right" | "left_shoulder" | "right_shoulder" | "left_elbow" | "right_elbow" | "left_wrist" | "right_wrist" | "left_pinky" | "right_pinky" | "left_index" | "right_index" | "left_thumb" | "right_thumb" | "left_hip" | "right_hip" | "left_knee" | "right_knee" | "left_ankle" | "right_ankle" | "left_heel" | "right_heel" | "left_foot_index" | "right_foot_index";

/** Settings of the part `faces`. */
export type FaceSettingName = "gla" | "halfWindow" | "valenceArousalHalfWindow" | "actionUnitsHalfWindow" | "confidence" | "blend" | "landmarks" | "turned" | "detectorThreshold" | "faceWeight" | "speechOnly";

/** Settings of the part `violence`. */
export type ViolenceSettingName = "threshold" | "every";

/** All settings, in the flat spelling. */
export type FlatSettingName = "gla" | "halfWindow" | "valenceArousalHalfWindow" | "actionUnitsHalfWindow" | "confidence" | "blend" | "landmarks" | "turned" | "detectorThreshold" | "faceWeight" | "speechOnly" | "violenceThreshold" | "violenceEvery";

/** A setting: its name in its part, its flat name, and the values that it takes. */
export type Control = {
  readonly part: "faces" | "violence";
  readonly name: FaceSettingName | ViolenceSettingName;
  readonly flat: FlatSettingName;
  readonly expected: string;
} & (
  | { readonly type: "boolean" }
  | { readonly type: "number" | "whole number"; readonly least: number; readonly most: number }
);

export declare const TASKS: readonly Task[];
/** The tasks that look for faces. */
export declare const FACE_TASKS: readonly Task[];
export declare const DEVICES: readonly DeviceChoice[];
/** The tasks that use each file: without one of them it is not read. None for the files for sound. */
export declare const TASKS_OF_ROLE: { readonly [role in WeightsRole]: readonly Task[] };
/** Files that are read where sound is listened to. */
export declare const SOUND_ROLES: readonly WeightsRole[];
/** The points of a body in the order of `PersonReport.keypoints`. */
export declare const KEYPOINTS: readonly KeypointName[];
/** Pairs of places in `KEYPOINTS` between which a skeleton is drawn. */
export declare const CONNECTIONS: readonly (readonly [number, number])[];
/** People of a picture that are looked for unless `people` says otherwise, and the most that can be asked for. */
export declare const DEFAULT_PEOPLE: number;
export declare const MOST_PEOPLE: number;
export declare const CONTROLS: readonly Control[];
