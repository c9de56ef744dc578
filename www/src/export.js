// @ts-check
// Reports as files, in the forms of the command line.

import { KEYPOINTS } from "affectlens";

import { actionUnitNames, expressionNames, heardNames } from "./names.js";
import { isViolent } from "./stretches.js";

/** @typedef {import("./log.js").KeptReport} KeptReport */

const FRAME_COLUMNS = ["file", "frame", "time_ms"];
/** What a row is about; where people were looked for. */
const KIND_COLUMN = "kind";
const BOX_COLUMNS = ["id", "x", "y", "width", "height", "score"];
/** Behind the name of each point of a body. */
const KEYPOINT_COLUMNS = ["x", "y", "z", "visibility"];
const VALENCE_AROUSAL_COLUMNS = ["valence", "arousal", "valence_arousal_source"];
const VIOLENCE_COLUMNS = ["violence_probability", "violent"];
const SPEECH_COLUMN = "speech";
/** Before the name of an expression: what sound alone says of it. */
const AUDIO_PREFIX = "audio_";

/**
 * One report per line; an estimate of violence that later frames would have changed is marked `"final": false`.
 *
 * @param {readonly KeptReport[]} reports
 * @param {number} threshold of violence
 */
export function toJsonLines(reports, threshold) {
  const lines = reports.map(({ violence: estimate, ...report }) => {
    if (!estimate) return report;
    const { probability, final } = estimate;
    const violence = { probability, violent: isViolent(probability, threshold), ...(final ? {} : { final }) };
    return { ...report, violence };
  });
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}

/**
 * One face or person per row; a frame without any has a row of its own, since it may be violent. What is not known is an
 * empty field. People have columns where they were looked for, and what is heard where something was heard.
 *
 * @param {readonly KeptReport[]} reports
 * @param {string} file name of the source
 * @param {number} threshold of violence
 */
export function toCsv(reports, file, threshold) {
  const [expressions, units] = [expressionNames(reports), actionUnitNames(reports)];
  const heard = heardNames(reports);
  const speech = reports.some(({ audio }) => audio?.speech !== undefined) ? [SPEECH_COLUMN] : [];
  const ofAll = [...VIOLENCE_COLUMNS, ...heard.map((name) => AUDIO_PREFIX + name), ...speech];
  const hasPeople = reports.some(({ people }) => people !== undefined);
  const kind = (/** @type {string} */ kind) => (hasPeople ? [kind] : []);
  const ofFaces = ["label", "confidence", "source", ...expressions, ...VALENCE_AROUSAL_COLUMNS, "action_units_source", ...units];
  const ofPeople = hasPeople ? KEYPOINTS.flatMap((point) => KEYPOINT_COLUMNS.map((number) => `${point}_${number}`)) : [];
  const ofFound = [...kind(KIND_COLUMN), ...BOX_COLUMNS, ...ofFaces, ...ofPeople];
  const header = [...FRAME_COLUMNS, ...ofFound, ...ofAll];
  const rows = reports.flatMap(({ frame, time_ms, faces, people = [], violence, audio }) => {
    const faceFields = faces.map(({ id, box, score, expression, valence, arousal, action_units: strengths, sources }) => [
      ...[...kind("face"), id, ...box, score],
      ...[expression?.label, expression?.confidence, expression?.source],
      ...expressions.map((name) => expression?.probabilities[name]),
      ...[valence, arousal, sources?.valence_arousal?.source, sources?.action_units?.source],
      ...units.map((name) => strengths?.[name]),
      ...blank(ofPeople),
    ]);
    const personFields = people.map(({ id, box, score, keypoints }) => [
      ...[...kind("person"), id, ...box, score],
      ...blank(ofFaces),
      ...keypoints.flat(),
    ]);
    const found = [...faceFields, ...personFields];
    const fieldsOfAll = [
      ...[violence?.probability, violence && isViolent(violence.probability, threshold)],
      ...heard.map((name) => audio?.probabilities?.[name]),
      ...speech.map(() => audio?.speech),
    ];
    return (found.length > 0 ? found : [blank(ofFound)]).map((fields) => [quote(file), frame, time_ms, ...fields, ...fieldsOfAll]);
  });
  // `join` leaves a field empty where there is nothing.
  return [header, ...rows].map((row) => `${row.join(",")}\n`).join("");
}

/** @param {readonly string[]} columns */
function blank(columns) {
  return columns.map(() => undefined);
}

/** @param {string} text */
function quote(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
