// @ts-check
// With how many threads a network runs. Several are slower than one for a small network, which they hand to each other more
// often than that is worth, and where other work keeps the cores busy. The numbers that come out are the same.

/** Runs with each number that are compared. */
const TRIALS = 8;
/** Runs with the faster number until both are compared again. */
const SETTLED = 200;

/** The choice for one network. */
export class ThreadChoice {
  #most;
  /** The faster number so far. */
  #best;
  /** Runs since the last comparison began. The very first run fills caches and compiles: it counts for nothing. */
  #runs = -1;
  /** Times of this comparison, with all threads and with one. @type {[number[], number[]]} */
  #times = [[], []];

  /** @param {number} most threads there are */
  constructor(most) {
    this.#most = most;
    this.#best = most;
  }

  /** Threads of the next run. */
  get threads() {
    if (this.#runs < 0 || this.#most === 1) return this.#most;
    const isTrial = this.#runs < 2 * TRIALS;
    return isTrial ? this.#numbers[this.#runs % 2] : this.#best;
  }

  get #numbers() {
    return [this.#most, 1];
  }

  /** @param {number} ms what the run took, for each picture of it */
  took(ms) {
    if (this.#runs >= 0 && this.#runs < 2 * TRIALS) this.#times[this.#runs % 2].push(ms);
    this.#runs += 1;
    if (this.#runs === 2 * TRIALS) {
      const [several, one] = this.#times.map(usual);
      this.#best = one < several ? 1 : this.#most;
    }
    if (this.#runs === 2 * TRIALS + SETTLED) {
      this.#runs = 0;
      this.#times = [[], []];
    }
  }
}

/**
 * The mean without the slowest: who waits for a thread that comes late does so in some runs only, a page's pause is in one.
 *
 * @param {number[]} times
 */
function usual(times) {
  const sum = times.reduce((sum, ms) => sum + ms, 0);
  return (sum - Math.max(...times)) / (times.length - 1);
}
