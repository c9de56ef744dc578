// @ts-check
// Reports as files, in the forms of the command line.

import { badArgument } from "./errors.js";
import { aNumber, readFields } from "./fields.js";
import { KEYPOINTS } from "./names.js";

/**
 * @typedef {import("./export.js").Report} Report
 * @typedef {import("./export.js").ExportOptions} ExportOptions
 * @typedef {import("./index.js").FaceReport} FaceReport
 * @typedef {{ probability: number, violent: boolean, final?: false }} Estimate of violence in one frame; `final: false` where
 *   later frames would have changed it
 * @typedef {Omit<Report, "violence"> & { violence?: Estimate }} Line
 * @typedef {string | number | boolean | undefined} Cell
 */

/** @type {Record<keyof ExportOptions, import("./fields.js").Field>} */
const OPTIONS = {
  file: { expected: "a text", accepts: (value) => typeof value === "string" },
  tasks: { expected: "an array of task names", accepts: Array.isArray },
  threshold: aNumber("a number from 0 to 1", (value) => value >= 0 && value <= 1),
};
const THRESHOLD = "that of violence, `lens.settings.violence.threshold`, since the reports tell of it";
const KEYPOINT_COLUMNS = ["x", "y", "z", "visibility"].map((number) => `_${number}`);
/** Before the name of an expression: what sound alone says of it. */
const AUDIO_PREFIX = "audio_";

/**
 * @param {Iterable<Report>} reports
 * @param {ExportOptions} [options]
 */
export function toJsonLines(reports, options = {}) {
  const { file } = readFields(options, OPTIONS);
  const named = file === undefined ? {} : { file };
  return linesOf(reports, options)
    .map((line) => `${JSON.stringify({ ...named, ...line })}\n`)
    .join("");
}

/**
 * @param {Iterable<Report>} reports
 * @param {ExportOptions} [options]
 */
export function toCsv(reports, options = {}) {
  const { file = "", tasks } = readFields(options, OPTIONS);
  const lines = linesOf(reports, options);
  const groups = columnsOf(lines, tasks);
  const header = ["file", "frame", "time_ms", ...groups.found.flatMap(namesOf), ...groups.frame.flatMap(namesOf)];
  const rows = lines.flatMap((line) => {
    const frame = [harmless(file), line.frame, line.time_ms];
    const ofFrame = groups.frame.flatMap(({ cells }) => cells(line));
    const found = [...line.faces.map((face) => ({ face })), ...(line.people ?? []).map((person) => ({ person }))];
    // A frame in which nobody is found has a row of its own.
    return (found.length > 0 ? found : [{}]).map((one) => [...frame, ...groups.found.flatMap(({ cells }) => cells(one)), ...ofFrame]);
  });
  return [header, ...rows].map((row) => `${row.map(quote).join(",")}\n`).join("");
}

/**
 * @typedef {{ face?: FaceReport, person?: import("./export.js").Person }} Found
 * @typedef {{ names: readonly string[], cells: (of: Found) => Cell[] }} FoundColumns
 * @typedef {{ names: readonly string[], cells: (line: Line) => Cell[] }} FrameColumns
 */

/** @param {{ names: readonly string[] }} columns */
function namesOf({ names }) {
  return names;
}

/**
 * The columns behind those that name the frame: of what is found in it, and of all of it.
 *
 * @param {readonly Line[]} lines
 * @param {readonly string[] | undefined} tasks whose columns there are; by default those that the reports tell of
 * @returns {{ found: FoundColumns[], frame: FrameColumns[] }}
 */
function columnsOf(lines, tasks) {
  const faces = lines.flatMap((line) => line.faces);
  const has = (/** @type {string} */ task, /** @type {boolean} */ isTold) => (tasks ? tasks.includes(task) : isTold);
  const expressions = keysOf(faces.map(({ expression }) => expression?.probabilities));
  const units = keysOf(faces.map((face) => face.action_units)).sort((one, other) => Number(one.slice(2)) - Number(other.slice(2)));
  const heard = keysOf(lines.map(({ audio }) => audio?.probabilities));
  const hasPeople = has("pose", lines.some(({ people }) => people !== undefined));
  const keypoints = KEYPOINTS.flatMap((point) => KEYPOINT_COLUMNS.map((number) => point + number));
  /** @type {[boolean, FoundColumns][]} */
  const found = [
    [hasPeople, { names: ["kind"], cells: ({ face, person }) => [face ? "face" : person && "person"] }],
    [
      true,
      {
        names: ["id", "x", "y", "width", "height", "score"],
        cells({ face, person }) {
          const { id, box = [undefined, undefined, undefined, undefined], score } = face ?? person ?? {};
          return [id, ...box, score];
        },
      },
    ],
    [
      has("expression", faces.some(({ expression }) => expression)),
      {
        names: ["label", "confidence", "source", ...expressions],
        cells({ face: { expression } = {} }) {
          const { label, confidence, source, probabilities } = expression ?? {};
          return [label, confidence, source, ...pick(probabilities, expressions)];
        },
      },
    ],
    [
      has("valence-arousal", faces.some(({ valence }) => valence !== undefined)),
      {
        names: ["valence", "arousal", "valence_arousal_source"],
        cells: ({ face }) => [face?.valence, face?.arousal, face?.sources?.valence_arousal?.source],
      },
    ],
    [
      has("action-units", units.length > 0),
      {
        names: ["action_units_source", ...units],
        cells: ({ face }) => [face?.sources?.action_units?.source, ...pick(face?.action_units, units)],
      },
    ],
    [faces.some(({ baseline }) => baseline), { names: ["baseline"], cells: ({ face }) => [face && Boolean(face.baseline)] }],
    [faces.some(({ personal }) => personal), { names: ["personal"], cells: ({ face }) => [face && Boolean(face.personal)] }],
    [hasPeople, { names: keypoints, cells: ({ person }) => person?.keypoints.flat() ?? keypoints.map(() => undefined) }],
  ];
  /** @type {[boolean, FrameColumns][]} */
  const frame = [
    [
      has("violence", lines.some(({ violence }) => violence)),
      { names: ["violence_probability", "violent"], cells: ({ violence }) => [violence?.probability, violence?.violent] },
    ],
    [heard.length > 0, { names: heard.map((name) => AUDIO_PREFIX + name), cells: ({ audio }) => pick(audio?.probabilities, heard) }],
    [lines.some(({ audio }) => audio?.speech !== undefined), { names: ["speech"], cells: ({ audio }) => [audio?.speech] }],
  ];
  return { found: wanted(found), frame: wanted(frame) };
}

/**
 * @template Columns
 * @param {[boolean, Columns][]} groups
 */
function wanted(groups) {
  return groups.filter(([isWanted]) => isWanted).map(([, columns]) => columns);
}

/**
 * Every key of any record, in the order of first appearance: reports have classes in the order of their model.
 *
 * @param {readonly (object | undefined)[]} records
 */
function keysOf(records) {
  return [...new Set(records.flatMap((record) => Object.keys(record ?? {})))];
}

/**
 * @param {object | undefined} record
 * @param {readonly string[]} names
 * @returns {Cell[]}
 */
function pick(record, names) {
  return names.map((name) => /** @type {Record<string, Cell>} */ (record ?? {})[name]);
}

/**
 * Reports with the newest estimate of violence in their own frames.
 *
 * @param {Iterable<Report>} reports
 * @param {ExportOptions} options
 * @returns {Line[]}
 */
function linesOf(reports, { threshold }) {
  /** By frame and time: numbers begin again where a lens was reset. @type {Map<string, Line>} */
  const known = new Map();
  /** @type {Line[]} */
  const lines = [];
  const estimate = (/** @type {number} */ probability, /** @type {boolean} */ isFinal) => {
    if (threshold === undefined) throw badArgument("threshold", undefined, THRESHOLD);
    return { probability, violent: probability >= threshold, ...(!isFinal && { final: /** @type {const} */ (false) }) };
  };
  for (const { violence, ...report } of reports) {
    /** @type {Line} */
    const line = report;
    lines.push(line);
    known.set(`${report.frame} ${report.time_ms}`, line);
    if (violence?.probability === undefined) continue;
    if (!("updates" in violence) || !violence.updates) {
      const { probability, violent, final: isFinal = true } = /** @type {import("./export.js").FinalViolence} */ (violence);
      line.violence = violent === undefined || threshold !== undefined ? estimate(probability, isFinal) : { probability, violent };
      continue;
    }
    for (const { frame, time_ms, probability, final: isFinal } of violence.updates) {
      const told = known.get(`${frame} ${time_ms}`);
      if (told) told.violence = estimate(probability, isFinal);
    }
  }
  return lines;
}

/**
 * A file's name that no spreadsheet takes for a formula: the same file, from the folder that it is in.
 *
 * @param {string} file
 */
function harmless(file) {
  return /^[=+\-@\t\r]/.test(file) ? `./${file}` : file;
}

/**
 * What is not known is an empty field.
 *
 * @param {Cell} cell
 */
function quote(cell) {
  const text = cell === undefined ? "" : String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
