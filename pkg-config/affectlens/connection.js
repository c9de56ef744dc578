// @ts-check
// Requests to the worker that owns the model, and the promises that wait for its answers.

import { AffectLensError, textOf } from "./errors.js";
import { explainTransfer } from "./picture.js";
import { explainStart, startAt, startFound, startText } from "./start-worker.js";

/**
 * @typedef {import("./messages.js").Request} Request
 * @typedef {import("./messages.js").Reply} Reply
 * @typedef {{
 *   onProgress: (progress: import("./index.js").Progress) => void,
 *   onModule: (module: WebAssembly.Module) => void,
 *   onRequest: () => void,
 *   onEnd: (error: Error) => void,
 * }} Listeners `onEnd`: nothing can be asked any more
 */

/** How often a worker that owes an answer is asked for a sign of life. */
const KNOCK_MS = 5_000;
/**
 * So long a worker may be silent, counted in knocks since a page may sleep. One that computes cannot answer: a picture on a
 * slow CPU, looked at in many parts, takes a minute.
 */
const SILENT_KNOCKS = 24;
/** Until it has loaded its model it computes little. */
const SILENT_KNOCKS_OF_LOAD = 12;

/** One worker. It is closed by its own end, by a failure that it cannot survive, or from here. */
export class Connection {
  #worker;
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  #waiting = new Map();
  #lastId = 0;
  /** @type {Error | undefined} */
  #closedBy;
  #address;
  #onEnd;
  #usesGpu = false;
  #isHeard = false;
  #isLoaded = false;
  /** Knocks since the worker was heard. */
  #knocks = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #knocking;

  /**
   * @param {string | undefined} workerUrl
   * @param {string | undefined} script of the worker, where it is carried
   * @param {Listeners} listeners
   */
  constructor(workerUrl, script, { onProgress, onModule, onRequest, onEnd }) {
    this.#onEnd = onEnd;
    try {
      const { worker, address } = openWorker(workerUrl, script);
      this.#worker = worker;
      this.#address = address;
    } catch (error) {
      onEnd(/** @type {Error} */ (error));
      throw error;
    }
    this.#worker.addEventListener("message", ({ data }) => {
      this.#isHeard = true;
      this.#knocks = 0;
      const reply = /** @type {Reply} */ (data);
      switch (reply.kind) {
        case "done":
          // The first that it does is to load.
          this.#isLoaded = true;
          return this.#settle(reply.id)?.resolve(reply.value);
        case "failed": {
          const error = new AffectLensError(reply.code, reply.message);
          this.#settle(reply.id)?.reject(error);
          if (reply.fatal) this.close(error);
          return;
        }
        case "stopped":
          return this.close(new AffectLensError(reply.code, reply.message));
        case "progress":
          this.#usesGpu = reply.usesGpu;
          return onProgress(reply.progress);
        case "module":
          return onModule(reply.module);
        case "request":
          return onRequest();
      }
    });
    this.#worker.addEventListener("error", (event) => {
      this.close(new AffectLensError("module-failed", explainStart(this.#address, event.message)));
    });
    this.#worker.addEventListener("messageerror", () => {
      this.close(new AffectLensError("crashed", "the worker sent a message that cannot be read"));
    });
  }

  get isOpen() {
    return this.#closedBy === undefined;
  }

  /** Whether a failure is one of the GPU. */
  get usesGpu() {
    return this.#usesGpu;
  }

  /**
   * @param {Request} request
   * @param {Transferable[]} [transfer]
   * @returns {Promise<any>}
   */
  ask(request, transfer = []) {
    if (this.#closedBy) return Promise.reject(this.#closedBy);
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      try {
        this.#worker.postMessage({ id, request }, transfer);
      } catch (cause) {
        return reject("picture" in request ? explainTransfer(cause) : explainMessage(request, cause));
      }
      this.#waiting.set(id, { resolve, reject });
      if (this.#knocking !== undefined) return;
      this.#knocks = 0;
      this.#knocking = setInterval(() => this.#knock(), KNOCK_MS);
    });
  }

  /** @param {Error} error what every waiting request is told */
  close(error) {
    if (this.#closedBy) return;
    this.#closedBy = error;
    this.#worker.terminate();
    this.#rest();
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.#onEnd(error);
  }

  #knock() {
    const most = this.#isLoaded ? SILENT_KNOCKS : SILENT_KNOCKS_OF_LOAD;
    if (this.#knocks < most) {
      this.#knocks += 1;
      return this.#worker.postMessage("knock");
    }
    const silence = `it gave no sign of life for ${(most * KNOCK_MS) / 1000} s`;
    if (!this.#isHeard) return this.close(new AffectLensError("module-failed", explainStart(this.#address, silence)));
    this.close(new AffectLensError("crashed", `the worker is gone: ${silence}`));
  }

  #rest() {
    clearInterval(this.#knocking);
    this.#knocking = undefined;
  }

  /** @param {number} id */
  #settle(id) {
    const waiter = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#rest();
    return waiter;
  }
}

/**
 * @param {string | undefined} workerUrl
 * @param {string | undefined} script
 */
function openWorker(workerUrl, script) {
  if (workerUrl !== undefined) return startAt(workerUrl);
  if (script !== undefined) return startText(script);
  return startFound(() => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }));
}

/**
 * @param {Request} request
 * @param {unknown} cause
 */
function explainMessage({ kind }, cause) {
  const what = kind === "load" ? "the weights" : `what \`${kind}\` is given`;
  return new AffectLensError("bad-argument", `${what} cannot be handed to the worker: ${textOf(cause)}`, { cause });
}
