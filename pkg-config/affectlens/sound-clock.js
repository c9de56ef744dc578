// @ts-check
// When sound was heard, on the clock that pictures have their times from.

import { RATE } from "./resampler.js";

/** A picture's time further off than this from where the clock stands is the time of another clock. */
const OTHER_CLOCK_MS = 1000;
/** Share of the way that the clock follows a picture that came late. */
const FOLLOWED = 0.02;
/** Sound further off than this from where it should lie begins anew: at once where it is early, in the long run where late. */
const OFF_MS = 100;
/** Sound later than this is off at once: the clock was set, or nothing was heard for a while. */
const FAR_OFF_MS = 500;
/** Samples after which what came late all the time counts as off: browsers hand over several blocks at once. */
const PATIENCE_SAMPLES = RATE / 4;

/**
 * Where the clock of the pictures stands: read off the times that they are given. A picture may come late, none comes
 * early, so the clock follows the earliest ones.
 */
export class PictureClock {
  /** What the clock of the pictures is ahead of the page's. @type {number | undefined} */
  #aheadMs;

  /**
   * @param {number} timeMs of a picture
   * @param {number} nowMs when it came, on the page's clock
   */
  meet(timeMs, nowMs) {
    const aheadMs = timeMs - nowMs;
    const off = aheadMs - (this.#aheadMs ?? aheadMs);
    if (this.#aheadMs === undefined || off > 0 || off < -OTHER_CLOCK_MS) this.#aheadMs = aheadMs;
    else this.#aheadMs += FOLLOWED * off;
  }

  /**
   * The time that a picture would have which comes now; without any so far the page's own.
   *
   * @param {number} nowMs
   */
  at(nowMs) {
    return nowMs + (this.#aheadMs ?? 0);
  }
}

/**
 * Times of blocks of one source. They follow from the number of samples, since blocks come unevenly. Where that no longer fits
 * the clock, time begins anew: a busy machine leaves out sound.
 */
export class BlockTimes {
  /** Of the next block. @type {number | undefined} */
  #nextMs;
  /** The least that blocks came later than they should, and over how many samples. */
  #leastLateMs = Infinity;
  #watched = 0;

  /** The next block does not follow the last one. */
  restart() {
    this.#nextMs = undefined;
  }

  /**
   * The time of a block's first sample.
   *
   * @param {number} samples how many there are
   * @param {number} clockMs where the clock stood when the last one was heard
   */
  place(samples, clockMs) {
    const lengthMs = (1000 * samples) / RATE;
    const lateMs = clockMs - lengthMs - (this.#nextMs ?? -Infinity);
    this.#leastLateMs = Math.min(this.#leastLateMs, lateMs);
    this.#watched += samples;
    const isWatched = this.#watched >= PATIENCE_SAMPLES;
    // None comes before it was heard.
    const isOff = lateMs < -OFF_MS || lateMs > FAR_OFF_MS || (isWatched && this.#leastLateMs > OFF_MS);
    if (isOff) this.#nextMs = clockMs - lengthMs;
    if (isOff || isWatched) [this.#leastLateMs, this.#watched] = [Infinity, 0];
    const timeMs = /** @type {number} */ (this.#nextMs);
    this.#nextMs = timeMs + lengthMs;
    return timeMs;
  }
}
