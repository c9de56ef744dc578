// @ts-check
// Requests to the worker that owns the model, and the promises that wait for its answers.

import { AffectLensError } from "./errors.js";
import { explainTransfer } from "./picture.js";
import { explainStart, startWorker } from "./start-worker.js";

/**
 * @typedef {import("./messages.js").Request} Request
 * @typedef {import("./messages.js").Reply} Reply
 * @typedef {{ onProgress: (progress: import("./index.js").Progress) => void, onRequest: () => void }} Listeners
 */

/** Not written where it is used: bundlers would take it for one more file, as it is. */
const WORKER = "./worker.js";

/** One worker. It is closed by its own end, by a failure that it cannot survive, or from here. */
export class Connection {
  #worker;
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  #waiting = new Map();
  #lastId = 0;
  /** @type {Error | undefined} */
  #closedBy;

  /**
   * @param {string | undefined} workerUrl
   * @param {Listeners} listeners
   */
  constructor(workerUrl, { onProgress, onRequest }) {
    const address = workerUrl ?? besideThis();
    this.#worker = openWorker(address, workerUrl);
    this.#worker.addEventListener("message", ({ data }) => {
      const reply = /** @type {Reply} */ (data);
      switch (reply.kind) {
        case "done":
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
          return onProgress(reply.progress);
        case "request":
          return onRequest();
      }
    });
    this.#worker.addEventListener("error", (event) => {
      this.close(new AffectLensError("module-failed", explainStart(address, event.message)));
    });
    this.#worker.addEventListener("messageerror", () => {
      this.close(new AffectLensError("crashed", "the worker sent a message that cannot be read"));
    });
  }

  get isOpen() {
    return this.#closedBy === undefined;
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
        return reject(explainTransfer(cause));
      }
      this.#waiting.set(id, { resolve, reject });
    });
  }

  /** @param {Error} error what every waiting request is told */
  close(error) {
    if (this.#closedBy) return;
    this.#closedBy = error;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  /** @param {number} id */
  #settle(id) {
    const waiter = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiter;
  }
}

function besideThis() {
  try {
    return new URL(WORKER, import.meta.url).href;
  } catch {
    // A script that has been made into a blob has nothing beside itself.
    return import.meta.url;
  }
}

/**
 * @param {string} address
 * @param {string | undefined} workerUrl
 */
function openWorker(address, workerUrl) {
  try {
    return startWorker(address, () => {
      if (workerUrl !== undefined) return new Worker(workerUrl, { type: "module" });
      // Bundlers find the worker by this very expression.
      return new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AffectLensError("module-failed", explainStart(address, reason), { cause });
  }
}
