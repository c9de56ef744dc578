// @ts-check
// Running figures of a session: latencies and rates.

const KEPT = 300;
const RATE_WINDOW_MS = 5000;

/** Latencies and the rate at which results come. */
export class Stats {
  /** @type {number[]} */
  #latencies = [];
  /** @type {number[]} */
  #moments = [];
  analysed = 0;
  withFace = 0;
  dropped = 0;
  failed = 0;

  /**
   * @param {number} latencyMs
   * @param {number} nowMs
   * @param {boolean} hasFace
   */
  add(latencyMs, nowMs, hasFace) {
    this.analysed += 1;
    this.withFace += Number(hasFace);
    this.#latencies.push(latencyMs);
    if (this.#latencies.length > KEPT) this.#latencies.shift();
    this.#moments.push(nowMs);
    while (this.#moments[0] < nowMs - RATE_WINDOW_MS) this.#moments.shift();
  }

  /**
   * The latency within which a share of the last results came, milliseconds.
   *
   * @param {number} share 0 to 1
   */
  latency(share) {
    return quantile(this.#latencies, share);
  }

  /** Results per second over the last seconds; nothing before the second result. */
  get rate() {
    const span = this.#moments.length > 1 ? this.#moments[this.#moments.length - 1] - this.#moments[0] : 0;
    return span > 0 ? ((this.#moments.length - 1) * 1000) / span : undefined;
  }
}

/**
 * Nearest-rank quantile; nothing for no values.
 *
 * @param {readonly number[]} values
 * @param {number} share
 */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}
