// @ts-check
// The package's front: checks what it is given, keeps a worker that owns the model, and talks to it.

import { AffectLensError, badArgument as bad, describe } from "./errors.js";
import { DEVICES, FACE_TASKS, TASKS } from "./names.js";
import { takePicture } from "./picture.js";
import { SettingsInForce, readChange } from "./settings.js";
import { ROLES, readManifest } from "./weights.js";

export { AffectLensError };

/**
 * @typedef {import("./index.js").LoadOptions} LoadOptions
 * @typedef {import("./index.js").Settings} Settings
 * @typedef {import("./messages.js").Request} Request
 * @typedef {import("./messages.js").LoadRequest} LoadRequest
 * @typedef {import("./messages.js").Reply} Reply
 * @typedef {Required<Pick<LoadOptions, "device" | "tasks" | "warmUp">> & Pick<LoadOptions, "workerUrl" | "wasmUrl" | "threads" | "onProgress">
 *   & { weights: import("./weights.js").WeightsSource }} Plan
 */

const MOST_THREADS = 64;
/** Failures of a device, after which the same model may still run elsewhere. */
const DEVICE_FAILURES = ["device-lost", "device-failed", "crashed", "webgpu-unavailable"];

/**
 * Loads weights and module and gives a lens that is ready to look at pictures.
 *
 * @param {LoadOptions} [options]
 */
export async function load(options = {}) {
  const plan = readOptions(options);
  if (typeof Worker === "undefined") {
    throw new AffectLensError("unsupported", "affectlens runs in a browser: there is no Worker here");
  }
  const lens = new Lens(plan);
  await lens.start(options.signal);
  return lens;
}

class Lens {
  #plan;
  /** @type {Connection | undefined} */
  #connection;
  /** @type {Promise<void> | undefined} */
  #starting;
  #disposed = false;
  /** @type {import("./index.js").DeviceReport | undefined} */
  #device;
  /** @type {import("./messages.js").GroupedSettings | undefined} */
  #settings;
  /** @type {import("./index.js").ViolenceFacts | null} */
  #violence = null;
  #timings = { loadMs: 0, gatherMs: 0, moduleMs: 0, openMs: 0, warmUpMs: 0, firstResultMs: /** @type {number | null} */ (null) };
  #requests = 0;

  /** @param {Plan} plan */
  constructor(plan) {
    this.#plan = plan;
  }

  // Nobody has a lens before it is loaded: what it reports is there.
  get device() {
    const device = /** @type {import("./index.js").DeviceReport} */ (this.#device);
    return { ...device, cpu: device.cpu && { ...device.cpu } };
  }

  /** @returns {Settings} */
  get settings() {
    const grouped = /** @type {import("./messages.js").GroupedSettings} */ (this.#settings);
    return /** @type {any} */ (new SettingsInForce(grouped));
  }

  get violence() {
    return this.#violence && { ...this.#violence };
  }

  get timings() {
    return { ...this.#timings };
  }

  get requestsAfterLoad() {
    return this.#requests;
  }

  get disposed() {
    return this.#disposed;
  }

  /** @param {AbortSignal} [signal] */
  async start(signal) {
    signal?.throwIfAborted();
    const abort = () => this.dispose();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      await this.#open();
    } catch (error) {
      this.dispose();
      throw signal?.aborted ? signal.reason : error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /**
   * @param {unknown} source
   * @param {{ timeMs?: number }} [options]
   */
  async analyze(source, { timeMs } = {}) {
    if (timeMs !== undefined && !Number.isFinite(timeMs)) {
      throw new AffectLensError("bad-argument", `timeMs is ${describe(timeMs)} ${timeMs}, expected a finite number`);
    }
    return this.#look(source, (picture, shownAtMs) => ({
      kind: "analyze",
      picture,
      timeMs: timeMs ?? shownAtMs ?? performance.now(),
    }));
  }

  /** @param {unknown} source */
  async analyzeFace(source) {
    if (!this.#plan.tasks.some((task) => FACE_TASKS.includes(task))) {
      this.#refuseDisposed();
      const message = `analyzeFace needs one of the tasks ${FACE_TASKS.join(", ")}; loaded is ${this.#plan.tasks.join(", ")}`;
      throw new AffectLensError("bad-argument", message);
    }
    return this.#look(source, (picture) => ({ kind: "analyzeFace", picture }));
  }

  /** @param {import("./index.js").SettingsChange} settings */
  async configure(settings) {
    this.#refuseDisposed();
    this.#settings = await this.#ask({ kind: "configure", change: readChange(settings) });
    return this.settings;
  }

  async reset() {
    this.#refuseDisposed();
    await this.#ask({ kind: "reset" });
  }

  dispose() {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#connection?.close(afterDispose());
  }

  /**
   * @param {unknown} source
   * @param {(picture: import("./picture.js").Picture, shownAtMs: number | undefined) => Request} toRequest
   */
  async #look(source, toRequest) {
    this.#refuseDisposed();
    const asked = performance.now();
    const { picture, transfer, timeMs } = await takePicture(source);
    const report = await this.#ask(toRequest(picture, timeMs), transfer);
    this.#timings.firstResultMs ??= performance.now() - asked;
    return report;
  }

  /**
   * @param {Request} request
   * @param {Transferable[]} [transfer]
   */
  async #ask(request, transfer) {
    this.#refuseDisposed();
    // After a lost device the next call starts anew; the call that met the loss has failed and stays failed.
    if (!this.#connection?.isOpen) await this.#open();
    this.#refuseDisposed();
    return /** @type {Connection} */ (this.#connection).ask(request, transfer);
  }

  #open() {
    this.#starting ??= this.#openOnce().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #openOnce() {
    const started = performance.now();
    const { device } = this.#plan;
    let loaded;
    try {
      loaded = await this.#connect(device);
    } catch (error) {
      const failed = error instanceof AffectLensError && DEVICE_FAILURES.includes(error.code);
      if (device !== "auto" || !failed || this.#disposed) throw error;
      loaded = await this.#connect("cpu");
      loaded.device.fallback = `WebGPU failed: ${error.message}`;
    }
    this.#device = loaded.device;
    this.#settings = loaded.settings;
    this.#violence = loaded.violence;
    this.#timings = { ...this.#timings, ...loaded.timings, loadMs: performance.now() - started };
  }

  /** @param {import("./index.js").DeviceChoice} device */
  async #connect(device) {
    const { tasks, weights, wasmUrl, workerUrl, threads, warmUp, onProgress } = this.#plan;
    const connection = new Connection(startWorker(workerUrl), {
      onProgress: (progress) => onProgress?.(progress),
      onRequest: () => this.#requests++,
    });
    this.#connection = connection;
    try {
      const moved = wasmUrl?.toString();
      return await connection.ask({
        kind: "load",
        device,
        tasks,
        weights,
        wasmUrl: moved,
        threads,
        warmUp,
        settings: this.#settings,
      });
    } catch (error) {
      connection.close(/** @type {Error} */ (error));
      throw error;
    }
  }

  #refuseDisposed() {
    if (this.#disposed) throw afterDispose();
  }
}

/** Requests to one worker, and the promises that wait for its answers. */
class Connection {
  #worker;
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  #waiting = new Map();
  #lastId = 0;
  /** @type {Error | undefined} */
  #closedBy;

  /**
   * @param {Worker} worker
   * @param {{ onProgress: (progress: import("./index.js").Progress) => void, onRequest: () => void }} listeners
   */
  constructor(worker, { onProgress, onRequest }) {
    this.#worker = worker;
    worker.addEventListener("message", ({ data }) => {
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
    worker.addEventListener("error", (event) => {
      const reason = event.message || "its script cannot be loaded";
      this.close(new AffectLensError("module-failed", `the worker does not start: ${reason}`));
    });
    worker.addEventListener("messageerror", () => {
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
        const message = `the picture cannot be handed to the worker: ${/** @type {Error} */ (cause).message}`;
        return reject(new AffectLensError("picture-tainted", message, { cause }));
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

/** @param {string | URL | undefined} workerUrl */
function startWorker(workerUrl) {
  if (workerUrl !== undefined) return new Worker(workerUrl, { type: "module" });
  // Bundlers find the worker by this very expression.
  return new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
}

/**
 * @param {LoadOptions} options
 * @returns {Plan}
 */
function readOptions(options) {
  if (typeof options !== "object" || options === null) throw bad("options", options, "an object");
  const { tasks = ["expression"], device = "auto", weights, wasmUrl, workerUrl, threads, warmUp = true, onProgress, signal } = options;
  if (!Array.isArray(tasks) || tasks.length === 0) throw bad("tasks", tasks, "an array of task names");
  for (const task of tasks) {
    if (!TASKS.includes(task)) throw bad("tasks", task, `one of ${TASKS.join(", ")}`);
  }
  if (!DEVICES.includes(device)) throw bad("device", device, `one of ${DEVICES.join(", ")}`);
  for (const [name, url] of Object.entries({ wasmUrl, workerUrl })) {
    if (url !== undefined && typeof url !== "string" && !(url instanceof URL)) throw bad(name, url, "a string or URL");
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS)) {
    throw bad("threads", threads, `a whole number from 1 to ${MOST_THREADS}`);
  }
  if (typeof warmUp !== "boolean") throw bad("warmUp", warmUp, "a boolean");
  if (onProgress !== undefined && typeof onProgress !== "function") throw bad("onProgress", onProgress, "a function");
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw bad("signal", signal, "an AbortSignal");
  return { device, tasks: [...tasks], weights: readWeights(weights), wasmUrl, workerUrl, threads, warmUp, onProgress };
}

/**
 * @param {LoadOptions["weights"]} weights
 * @returns {Plan["weights"]}
 */
function readWeights(weights) {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  if (weights === undefined || typeof weights === "string" || weights instanceof URL) {
    return { kind: "manifest", url: manifestUrl(weights ?? "./weights/", base) };
  }
  if (typeof weights !== "object" || weights === null) throw bad("weights", weights, "a URL, a manifest or bytes");
  if ("files" in weights) return { kind: "remote", files: readManifest(weights, base ?? "") };
  /** @type {Partial<Record<import("./weights.js").Role, Uint8Array>>} */
  const files = {};
  for (const [role, bytes] of Object.entries(weights)) {
    const known = ROLES.find((name) => name === role);
    if (!known) throw bad("weights", role, `files named ${ROLES.join(", ")}`);
    if (bytes instanceof ArrayBuffer) files[known] = new Uint8Array(bytes);
    else if (bytes instanceof Uint8Array) files[known] = bytes;
    else throw bad(`weights.${role}`, bytes, "an ArrayBuffer or Uint8Array");
  }
  return { kind: "bytes", files };
}

/**
 * @param {string | URL} weights
 * @param {string | undefined} base
 */
function manifestUrl(weights, base) {
  try {
    const url = new URL(weights, base);
    if (!url.pathname.endsWith(".json")) {
      if (!url.pathname.endsWith("/")) url.pathname += "/";
      url.pathname += "manifest.json";
    }
    return url.href;
  } catch {
    throw bad("weights", weights, "an address that this page can resolve");
  }
}

function afterDispose() {
  return new AffectLensError("disposed", "the lens is disposed");
}
