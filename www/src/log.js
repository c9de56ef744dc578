// @ts-check
// The reports of a session, in the order of their time, and their file forms.

/**
 * @typedef {import("affectlens").FrameReport} FrameReport
 * @typedef {import("affectlens").ActionUnitName} ActionUnitName
 */

/** About half an hour of a webcam: enough to look back on, little enough for a phone. */
const MAX_REPORTS = 50_000;

/**
 * Reports by time. Looking again at a stretch of a clip replaces what was said about it before. The points of face
 * meshes are not kept: they are a hundred times as large as all else.
 */
export class ReportLog {
  /** @type {FrameReport[]} */
  #reports = [];
  #forgotten = 0;

  get reports() {
    return /** @type {readonly FrameReport[]} */ (this.#reports);
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
    this.#reports.splice(first, end - first, withoutLandmarks(report));
    if (this.#reports.length > MAX_REPORTS) {
      this.#reports.shift();
      this.#forgotten += 1;
    }
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
    const distance = (/** @type {FrameReport | undefined} */ report) =>
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
 * @returns {FrameReport}
 */
function withoutLandmarks(report) {
  return { ...report, faces: report.faces.map(({ landmarks, ...face }) => face) };
}

/**
 * One report a line, as the command line writes them.
 *
 * @param {readonly FrameReport[]} reports
 */
export function toJsonLines(reports) {
  return reports.map((report) => `${JSON.stringify(report)}\n`).join("");
}

const FACE_COLUMNS = ["file", "frame", "time_ms", "id", "x", "y", "width", "height", "score"];
const VALENCE_AROUSAL_COLUMNS = ["valence", "arousal", "valence_arousal_source"];

/**
 * One face a row, in the command line's columns. A number that is not known is an empty field.
 *
 * @param {readonly FrameReport[]} reports
 * @param {string} file what was looked at
 */
export function toCsv(reports, file) {
  const [expressions, units] = [expressionNames(reports), actionUnitNames(reports)];
  const header = [
    ...FACE_COLUMNS,
    ...["label", "confidence", "source", ...expressions],
    ...VALENCE_AROUSAL_COLUMNS,
    ...["action_units_source", ...units],
  ];
  const rows = reports.flatMap(({ frame, time_ms, faces }) =>
    faces.map(({ id, box, score, expression, valence, arousal, action_units: strengths, sources }) => [
      ...[quote(file), frame, time_ms, id, ...box, score],
      ...[expression?.label, expression?.confidence, expression?.source],
      ...expressions.map((name) => expression?.probabilities[name]),
      ...[valence, arousal, sources?.valence_arousal?.source, sources?.action_units?.source],
      ...units.map((name) => strengths?.[name]),
    ]),
  );
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
 * @param {readonly FrameReport[]} reports
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
 * @param {readonly FrameReport[]} reports
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
