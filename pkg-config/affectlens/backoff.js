// @ts-check
// When a model that fails again and again is started anew.

/** So many failures are met with a new start at once. */
export const MOST_AT_ONCE = 2;
/** What has worked for so long and fails has another trouble than before. */
const CALM_MS = 30_000;
/** The first wait; each next one is twice as long, up to the last. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;

/** Counts failures in a row, and says how long to wait after them. Times are of one clock. */
export class Backoff {
  #failures = 0;
  #worksSinceMs = Infinity;
  #restsUntilMs = -Infinity;

  /** Failures that followed each other. */
  get failures() {
    return this.#failures;
  }

  /** @param {number} nowMs when a start succeeded */
  begin(nowMs) {
    this.#worksSinceMs = nowMs;
  }

  /** @param {number} nowMs when a start failed, or what had been started */
  fail(nowMs) {
    if (nowMs - this.#worksSinceMs > CALM_MS) this.#failures = 0;
    this.#worksSinceMs = Infinity;
    this.#failures += 1;
    const doublings = this.#failures - MOST_AT_ONCE - 1;
    const waitMs = doublings < 0 ? 0 : Math.min(FIRST_WAIT_MS * 2 ** doublings, LONGEST_WAIT_MS);
    this.#restsUntilMs = nowMs + waitMs;
  }

  /** @param {number} nowMs @returns {number} how long nothing is started yet; 0 where it may be */
  restMs(nowMs) {
    return Math.max(0, this.#restsUntilMs - nowMs);
  }
}
