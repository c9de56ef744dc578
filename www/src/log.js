// @ts-check
// The reports of a session, in the order of their time, and their file forms.

import { isViolent } from "./violence.js";

/**
 * @typedef {import("affectlens").FrameReport} FrameReport
 * @typedef {import("affectlens").ActionUnitName} ActionUnitName
 * @typedef {{ probability: number, final: boolean }} Estimate of violence in one frame, the newest there is
 * @typedef {Omit<FrameReport, "violence"> & { violence?: Estimate }} KeptReport without `violence` where the frame was
 *   not sampled, or no window has covered it
 */

/** About half an hour of a webcam: enough to look back on, little enough for a phone. */
const MAX_REPORTS = 50_000;

/**
 * Reports by time. Looking again at a stretch of a clip replaces what was said about it before, and estimates of violence
 * are refined as later reports tell. The points of face meshes are not kept: they are a hundred times as large as all else.
 */
export class ReportLog {
  /** @type {KeptReport[]} */
  #reports = [];
  #forgotten = 0;

  get reports() {
    return /** @type {readonly KeptReport[]} */ (this.#reports);
  }

  /** Reports that were let go because there were too many. */
  get forgotten() {
    return this.#forgotten;
  }

  /**
   * @param {FrameReport} report
   * @param {number} [sinceMs] older reports after this time and up to the new one are replaced
   */
  add(report, sinceMs = report.time_ms) {
    const end = this.#after(report.time_ms);
    const start = Math.min(end, this.#after(Math.min(sinceMs, report.time_ms)));
    // A report of the very same time is replaced too.
    const first = start > 0 && this.#reports[start - 1].time_ms === report.time_ms ? start - 1 : start;
    const replaced = this.#reports[end - 1];
    // The same frame, looked at after a jump: what is known of it stays until more is.
    const known = replaced?.time_ms === report.time_ms ? replaced.violence : undefined;
    this.#reports.splice(first, end - first, keep(report, known));
    for (const update of report.violence?.updates ?? []) this.#refine(update);
    if (this.#reports.length > MAX_REPORTS) {
      this.#reports.shift();
      this.#forgotten += 1;
    }
  }

  /** @param {import("affectlens").ViolenceUpdate} update of a report that may be gone */
  #refine({ time_ms, probability, final }) {
    const index = this.#after(time_ms) - 1;
    const report = this.#reports[index];
    // A new object: who holds the old one sees no change.
    if (report?.time_ms === time_ms) this.#reports[index] = { ...report, violence: { probability, final } };
  }

  /**
   * The report nearest in time, if there is one within `withinMs`.
   *
   * @param {number} timeMs
   * @param {number} withinMs
   */
  nearest(timeMs, withinMs) {
    const index = this.#after(timeMs);
    const [before, after] = [this.#reports[index - 1], this.#reports[index]];
    const distance = (/** @type {KeptReport | undefined} */ report) =>
      report ? Math.abs(report.time_ms - timeMs) : Infinity;
    const best = distance(before) <= distance(after) ? before : after;
    return distance(best) <= withinMs ? best : undefined;
  }

  /**
   * Reports after the one time and up to the other.
   *
   * @param {number} fromMs
   * @param {number} toMs
   */
  between(fromMs, toMs) {
    return this.#reports.slice(this.#after(fromMs), this.#after(toMs));
  }

  /** @param {number} timeMs */
  #after(timeMs) {
    let [low, high] = [0, this.#reports.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#reports[middle].time_ms <= timeMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * @param {FrameReport} report
 * @param {Estimate | undefined} known
 * @returns {KeptReport}
 */
function keep({ violence, faces, ...report }, known) {
  const kept = { ...report, faces: faces.map(({ landmarks, ...face }) => face) };
  return known ? { ...kept, violence: known } : kept;
}

/**
 * One report a line, as the command line writes them; an estimate of violence that more frames would have changed says
 * so.
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

const FACE_COLUMNS = ["file", "frame", "time_ms", "id", "x", "y", "width", "height", "score"];
const VALENCE_AROUSAL_COLUMNS = ["valence", "arousal", "valence_arousal_source"];
const VIOLENCE_COLUMNS = ["violence_probability", "violent"];

/**
 * One face a row, in the command line's columns; a frame without faces has a row of its own, since it may be violent. A
 * number that is not known is an empty field.
 *
 * @param {readonly KeptReport[]} reports
 * @param {string} file what was looked at
 * @param {number} threshold of violence
 */
export function toCsv(reports, file, threshold) {
  const [expressions, units] = [expressionNames(reports), actionUnitNames(reports)];
  const header = [
    ...FACE_COLUMNS,
    ...["label", "confidence", "source", ...expressions],
    ...VALENCE_AROUSAL_COLUMNS,
    ...["action_units_source", ...units],
    ...VIOLENCE_COLUMNS,
  ];
  const noFace = header.slice(3, -VIOLENCE_COLUMNS.length).map(() => undefined);
  const rows = reports.flatMap(({ frame, time_ms, faces, violence }) => {
    const fields = faces.map(({ id, box, score, expression, valence, arousal, action_units: strengths, sources }) => [
      ...[id, ...box, score],
      ...[expression?.label, expression?.confidence, expression?.source],
      ...expressions.map((name) => expression?.probabilities[name]),
      ...[valence, arousal, sources?.valence_arousal?.source, sources?.action_units?.source],
      ...units.map((name) => strengths?.[name]),
    ]);
    const ofFrame = [violence?.probability, violence && isViolent(violence.probability, threshold)];
    return (faces.length > 0 ? fields : [noFace]).map((ofFace) => [quote(file), frame, time_ms, ...ofFace, ...ofFrame]);
  });
  // `join` leaves a field empty where there is nothing.
  return [header, ...rows].map((row) => `${row.join(",")}\n`).join("");
}

/** @param {string} text */
function quote(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * Every expression that any report knows, in the order of their first appearance.
 *
 * @param {readonly KeptReport[]} reports
 */
export function expressionNames(reports) {
  const names = new Set();
  for (const { faces } of reports) {
    for (const { expression } of faces) for (const name of Object.keys(expression?.probabilities ?? {})) names.add(name);
  }
  return /** @type {import("affectlens").ExpressionName[]} */ ([...names]);
}

/**
 * Every action unit that any report knows, by ascending number.
 *
 * @param {readonly KeptReport[]} reports
 */
export function actionUnitNames(reports) {
  const names = new Set();
  for (const { faces } of reports) {
    for (const face of faces) for (const name of Object.keys(face.action_units ?? {})) names.add(name);
  }
  return /** @type {ActionUnitName[]} */ ([...names].sort(byNumber));
}

/**
 * Orders names of action units by their number: AU2 stands before AU10.
 *
 * @param {string} one
 * @param {string} other
 */
export function byNumber(one, other) {
  return Number(one.slice(2)) - Number(other.slice(2));
}
