// @ts-check
// The reports of a session, in the order of their time.

/**
 * @typedef {import("affectlens").FrameReport} FrameReport
 * @typedef {{ probability: number, final: boolean }} Estimate the newest estimate of violence in a frame
 * @typedef {Omit<FrameReport, "violence"> & { violence?: Estimate }} KeptReport has no `violence` where the frame was
 *   not sampled, or no window has covered it yet
 */

/** About half an hour of a webcam: enough to look back on, little enough for a phone. A person counts as a report. */
const MAX_REPORTS = 50_000;

/**
 * Reports by time. A stretch of a clip that is analysed again replaces its earlier reports; later reports refine the
 * estimates of violence of earlier ones. The points of face meshes are not kept: they are a hundred times as large as
 * the rest of a report.
 */
export class ReportLog {
  /** @type {KeptReport[]} */
  #reports = [];
  /** Reports, and people in them. */
  #size = 0;
  #forgotten = 0;

  get reports() {
    return /** @type {readonly KeptReport[]} */ (this.#reports);
  }

  /** Reports that were dropped because there were too many. */
  get forgotten() {
    return this.#forgotten;
  }

  /**
   * @param {FrameReport} report
   * @param {number} [sinceMs] older reports after this time and up to the new one are replaced; none where a new stream
   *   began: what lies before it was not analysed again
   */
  add(report, sinceMs = report.time_ms) {
    const end = this.#after(report.time_ms);
    const replacedSinceMs = report.restarted ? report.time_ms : Math.min(sinceMs, report.time_ms);
    const start = Math.min(end, this.#after(replacedSinceMs));
    // A report of the very same time is replaced too.
    const first = start > 0 && this.#reports[start - 1].time_ms === report.time_ms ? start - 1 : start;
    const replaced = this.#reports[end - 1];
    // The same frame, analysed again after a jump: its estimate stays until there is a newer one.
    const known = replaced?.time_ms === report.time_ms ? replaced.violence : undefined;
    const kept = keep(report, known);
    for (const { people } of this.#reports.splice(first, end - first, kept)) this.#size -= sizeOf(people);
    this.#size += sizeOf(kept.people);
    for (const update of report.violence?.updates ?? []) this.#refine(update);
    while (this.#size > MAX_REPORTS) {
      this.#size -= sizeOf(this.#reports.shift()?.people);
      this.#forgotten += 1;
    }
  }

  /** @param {import("affectlens").ViolenceUpdate} update for a report that may have been dropped */
  #refine({ time_ms, probability, final }) {
    const index = this.#after(time_ms) - 1;
    const report = this.#reports[index];
    // A new object: whoever holds the old one sees no change.
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

/** @param {FrameReport["people"]} people of a report */
function sizeOf(people) {
  return 1 + (people?.length ?? 0);
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
