// @ts-check
// The reports of a session, in the order of their time, and their file forms.

/** @typedef {import("affectlens").FrameReport} FrameReport */

/** About half an hour of a webcam: enough to look back on, little enough for a phone. */
const MAX_REPORTS = 50_000;

/** Reports by time. Looking again at a stretch of a clip replaces what was said about it before. */
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
    this.#reports.splice(first, end - first, report);
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
 * One report a line, as the command line writes them.
 *
 * @param {readonly FrameReport[]} reports
 */
export function toJsonLines(reports) {
  return reports.map((report) => `${JSON.stringify(report)}\n`).join("");
}

/**
 * One face a row, in the command line's columns.
 *
 * @param {readonly FrameReport[]} reports
 * @param {string} file what was looked at
 */
export function toCsv(reports, file) {
  const names = expressionNames(reports);
  const header = ["file", "frame", "time_ms", "id", "x", "y", "width", "height", "score", "label", "confidence", "source"];
  const rows = reports.flatMap(({ frame, time_ms, faces }) =>
    faces.map(({ id, box, score, expression: { label, confidence, source, probabilities } }) => [
      quote(file),
      frame,
      time_ms,
      id,
      ...box,
      score,
      label,
      confidence,
      source,
      ...names.map((name) => probabilities[name] ?? ""),
    ]),
  );
  return [[...header, ...names], ...rows].map((row) => `${row.join(",")}\n`).join("");
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
    for (const face of faces) for (const name of Object.keys(face.expression.probabilities)) names.add(name);
  }
  return /** @type {import("affectlens").ExpressionName[]} */ ([...names]);
}
