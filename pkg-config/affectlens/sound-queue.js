// @ts-check
// Sound on its way to the worker: one message in flight and those before a picture, and what waits has a bound.

import { RATE } from "./resampler.js";

/** Sound that waits, two seconds; the oldest gives way to the newest. */
const MOST_SAMPLES = 2 * RATE;
/** Times this near are the same: they are sums of many lengths. */
const SAME_MS = 0.5;

/**
 * @typedef {{ samples: Float32Array<ArrayBuffer>, timeMs: number }} Piece
 * @typedef {(samples: Float32Array<ArrayBuffer>, timeMs: number) => Promise<unknown>} Hear
 */

/** Hands pieces of sound on in their order. Pieces that follow each other while one is in flight become one. */
export class SoundQueue {
  #hear;
  #onFailure;
  /** @type {Piece[]} */
  #waiting = [];
  #waitingSamples = 0;
  #droppedSamples = 0;
  #inFlight = 0;
  #isClosed = false;

  /**
   * @param {Hear} hear
   * @param {(error: unknown) => void} onFailure the piece is lost; the next ones are handed on
   */
  constructor(hear, onFailure) {
    this.#hear = hear;
    this.#onFailure = onFailure;
  }

  /** Sound that nobody heard because pictures were in the way, milliseconds. */
  get droppedMs() {
    return (1000 * this.#droppedSamples) / RATE;
  }

  /** @param {Piece} piece */
  push(piece) {
    if (this.#isClosed) return;
    this.#waiting.push(piece);
    this.#waitingSamples += piece.samples.length;
    while (this.#waitingSamples > MOST_SAMPLES) {
      const { samples } = /** @type {Piece} */ (this.#waiting.shift());
      this.#waitingSamples -= samples.length;
      this.#droppedSamples += samples.length;
    }
    if (this.#inFlight === 0) this.#handOn();
  }

  /** Hands on all that waits: a picture follows it, and is told with what was heard up to it. */
  flush() {
    while (this.#waiting.length > 0) this.#handOn();
  }

  /** Forgets what waits. */
  close() {
    this.#isClosed = true;
    this.#waiting = [];
    this.#waitingSamples = 0;
  }

  async #handOn() {
    const piece = this.#take();
    if (!piece) return;
    this.#inFlight += 1;
    try {
      await this.#hear(piece.samples, piece.timeMs);
    } catch (error) {
      if (!this.#isClosed) this.#onFailure(error);
    }
    this.#inFlight -= 1;
    if (this.#inFlight === 0) this.#handOn();
  }

  /** The pieces at the front that follow each other, as one. @returns {Piece | undefined} */
  #take() {
    const gap = this.#waiting.findIndex((piece, index) => index > 0 && !follows(this.#waiting[index - 1], piece));
    const taken = this.#waiting.splice(0, gap < 0 ? this.#waiting.length : gap);
    if (taken.length === 0) return undefined;
    const samples = new Float32Array(taken.reduce((sum, piece) => sum + piece.samples.length, 0));
    let filled = 0;
    for (const piece of taken) {
      samples.set(piece.samples, filled);
      filled += piece.samples.length;
    }
    this.#waitingSamples -= filled;
    return { samples, timeMs: taken[0].timeMs };
  }
}

/**
 * @param {Piece} one
 * @param {Piece} next
 */
function follows({ samples, timeMs }, next) {
  return Math.abs(timeMs + (1000 * samples.length) / RATE - next.timeMs) < SAME_MS;
}
