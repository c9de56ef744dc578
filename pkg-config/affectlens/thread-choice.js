// @ts-check
// With how many threads a network runs. Several are slower than one for a small network, which they hand to each other more
// often than that is worth, and where other work keeps the cores busy. The numbers that come out are the same.

/** Runs with each number that are compared, at most and at least. */
const MOST_TRIALS = 8;
const LEAST_TRIALS = 2;
/** Milliseconds after which a comparison has taken long enough: a large network is not to run eight times too slowly. */
const TRIALS_MS = 250;
/** Milliseconds of a run with all threads from which one is not tried: what they wait for each other is nothing beside it. */
const LONG_MS = 500;
/** Runs with the faster number until both are compared again. */
const SETTLED = 200;

/** The choice for one network. */
export class ThreadChoice {
  #most;
  /** The faster number so far. */
  #best;
  /** The very first run fills caches and compiles: it counts for nothing. */
  #isFirst = true;
  /** Times of this comparison, with all threads and with one. @type {[number[], number[]]} */
  #times = [[], []];
  /** Runs since the last comparison; none while there is one. @type {number | undefined} */
  #settled;

  /** @param {number} most threads there are */
  constructor(most) {
    this.#most = most;
    this.#best = most;
  }

  /** Threads of the next run. */
  get threads() {
    if (this.#isFirst) return this.#most;
    if (this.#settled !== undefined) return this.#best;
    return this.#turn === 0 ? this.#most : 1;
  }

  /** Whose turn it is: that of all threads, or of one. */
  get #turn() {
    const [several, one] = this.#times;
    return several.length > one.length ? 1 : 0;
  }

  /** @param {number} ms what the run took, for each picture of it */
  took(ms) {
    if (this.#most === 1) return;
    if (this.#isFirst) {
      this.#isFirst = false;
    } else if (this.#settled === undefined) {
      this.#times[this.#turn].push(ms);
      this.#compare();
    } else {
      this.#settled += 1;
      if (this.#settled === SETTLED) this.#settled = undefined;
    }
  }

  #compare() {
    const [several, one] = this.#times;
    if (several[0] >= LONG_MS) {
      this.#settle(this.#most);
      return;
    }
    if (several.length !== one.length || one.length < LEAST_TRIALS) return;
    const isOver = one.length === MOST_TRIALS || sum(several) + sum(one) > TRIALS_MS;
    if (isOver) this.#settle(usual(one) < usual(several) ? 1 : this.#most);
  }

  /** @param {number} threads */
  #settle(threads) {
    this.#best = threads;
    this.#times = [[], []];
    this.#settled = 0;
  }
}

/**
 * The mean without the slowest: who waits for a thread that comes late does so in some runs only, a page's pause is in one.
 *
 * @param {number[]} times
 */
function usual(times) {
  return (sum(times) - Math.max(...times)) / (times.length - 1);
}

/** @param {number[]} times */
function sum(times) {
  return times.reduce((sum, ms) => sum + ms, 0);
}
