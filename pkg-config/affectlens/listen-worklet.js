// @ts-check
// Captures sound on the browser's audio thread: mixes it to one channel, brings it to 16 kHz and posts it in blocks.
//
// It is fetched by its own address, and no module of the page imports it: a bundler may take it for a file or for a module, not for
// both. In the package it is one script with what it imports (`pkg-config/inline.mjs`), since some bundlers copy it as it is.

import { BLOCK, RATE, Resampler, limit, mixToMono } from "./resampler.js";

/** What TypeScript's libraries do not say of the audio thread. */
const scope = /** @type {{ AudioWorkletProcessor?: new () => { port: MessagePort }, registerProcessor?: Function, sampleRate?: number }} */ (
  /** @type {unknown} */ (globalThis)
);
const Processor = scope.AudioWorkletProcessor ?? /** @type {new () => { port: MessagePort }} */ (/** @type {unknown} */ (Object));

/** Posts what it hears, with the time of day, until it is sent anything. */
class Capture extends Processor {
  #isOver = false;
  #resampler = scope.sampleRate === RATE ? undefined : new Resampler(scope.sampleRate ?? RATE);
  #block = new Float32Array(BLOCK);
  #filled = 0;

  constructor() {
    super();
    this.port.onmessage = () => {
      this.#isOver = true;
    };
  }

  /**
   * @param {Float32Array[][]} inputs
   * @param {Float32Array[][]} outputs stay silent
   */
  process([channels], [silence]) {
    if (this.#isOver) return false;
    // Nothing comes while the source stands still: that is silence too, and time goes on.
    const mono = channels?.length ? mixToMono(channels) : new Float32Array(silence?.[0]?.length ?? 128);
    this.#post(limit(this.#resampler ? this.#resampler.push(mono) : mono));
    return true;
  }

  /** @param {Float32Array} samples */
  #post(samples) {
    for (let read = 0; read < samples.length; ) {
      const taken = samples.subarray(read, read + BLOCK - this.#filled);
      this.#block.set(taken, this.#filled);
      this.#filled += taken.length;
      read += taken.length;
      if (this.#filled < BLOCK) return;
      // The page may be busy when it gets there, and a busy machine leaves out sound.
      this.port.postMessage({ samples: this.#block, filledMs: Date.now() }, [this.#block.buffer]);
      this.#block = new Float32Array(BLOCK);
      this.#filled = 0;
    }
  }
}

scope.registerProcessor?.("affectlens-listen", Capture);
