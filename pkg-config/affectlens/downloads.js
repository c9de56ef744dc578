// @ts-check
// How far loading has come, in bytes: the weights and the wasm module together.

import { MODULE_BYTES } from "./module-size.js";

/** @typedef {import("./weights.js").OnBytes} OnBytes */

/** So often at most is told of pieces, which come by the thousand. */
const TELL_EVERY_MS = 20;

/** Downloads that are told as one. */
export class Downloads {
  /** Nothing before their sizes are known. @type {Parameters<OnBytes>[0] | undefined} */
  #weights;
  #module = { loadedBytes: 0, totalBytes: MODULE_BYTES };
  #onBytes;
  #toldMs = -Infinity;

  /** @param {OnBytes} onBytes called whenever there are more; the total is 0 until that of the weights is known */
  constructor(onBytes) {
    this.#onBytes = onBytes;
  }

  /** @param {Parameters<OnBytes>[0]} progress of the weights */
  meetWeights(progress) {
    this.#weights = progress;
    this.#tell();
  }

  /** The module is here already: it was loaded before. */
  haveModule() {
    this.#module = { loadedBytes: 0, totalBytes: 0 };
  }

  /**
   * Counts what comes of the module, beside whoever reads it, who gets the browser's own response.
   *
   * @param {Response} response
   */
  async countModule(response) {
    const length = Number(response.headers.get("content-length"));
    if (length > 0 && !response.headers.has("content-encoding")) this.#module.totalBytes = length;
    try {
      const reader = response.clone().body?.getReader();
      for (;;) {
        const { done = true, value } = (await reader?.read()) ?? {};
        if (done) break;
        this.#module.loadedBytes += value?.length ?? 0;
        this.#tell();
      }
    } catch {
      // Whoever reads the module meets the same failure, and tells it.
    }
  }

  #tell() {
    const module = this.#module;
    const weights = this.#weights;
    const loadedBytes = (weights?.loadedBytes ?? 0) + module.loadedBytes;
    // A module from another address may be larger than ours.
    const totalBytes = weights ? weights.totalBytes + Math.max(module.totalBytes, module.loadedBytes) : 0;
    const nowMs = performance.now();
    if (loadedBytes !== totalBytes && nowMs - this.#toldMs < TELL_EVERY_MS) return;
    this.#toldMs = nowMs;
    this.#onBytes({ loadedBytes, totalBytes, cached: weights?.cached ?? false });
  }
}
