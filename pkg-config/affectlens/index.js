// @ts-check
// The package's front: checks what it is given, keeps a worker that owns the model, and talks to it.

import { Backoff, MOST_AT_ONCE } from "./backoff.js";
import { Connection } from "./connection.js";
import { DISPOSE } from "./disposal.js";
import { carriedEngine } from "./engine.js";
import { AffectLensError } from "./errors.js";
import { BEGIN_FILE } from "./file-stream.js";
import { Listening, kindOfSource, readListenOptions } from "./listen.js";
import { CONNECTIONS, FACE_TASKS, KEYPOINTS } from "./names.js";
import { readAnalyzeOptions, readCalibration, readLabel, readOptions, readPersonalHead } from "./options.js";
import { releasePicture, takePicture } from "./picture.js";
import { refuseOtherPlatforms } from "./platform.js";
import { SettingsInForce, readChange } from "./settings.js";
import { PictureClock } from "./sound-clock.js";

export { AffectLensError, CONNECTIONS, KEYPOINTS };

/**
 * @typedef {import("./index.js").LoadOptions} LoadOptions
 * @typedef {import("./index.js").Settings} Settings
 * @typedef {import("./messages.js").Request} Request
 * @typedef {import("./options.js").Plan} Plan
 */

/** Failures after which the same model may still run elsewhere, if it was the GPU that failed. */
const GPU_FAILURES = ["device-lost", "device-failed", "crashed"];

/**
 * Loads weights and module and gives a lens that is ready to analyse pictures.
 *
 * @param {LoadOptions} [options]
 */
export async function load(options = {}) {
  refuseOtherPlatforms();
  const plan = readOptions(options);
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
  /** @type {import("./index.js").SoundFacts | null} */
  #sound = null;
  /** File of the personal head in force: another worker gets it too. @type {Uint8Array | undefined} */
  #personal;
  /** The wasm module, for the next worker. @type {WebAssembly.Module | undefined} */
  #module;
  /** Of the GPU's kernels, for the next worker. @type {boolean | undefined} */
  #workgroupTiles;
  #backoff = new Backoff();
  /** Why the last worker ended. @type {Error | undefined} */
  #failure;
  #clock = new PictureClock();
  /** What listens now; a lens hears one source at a time. @type {Listening | undefined} */
  #listening;
  /** Whether a file is analysed: there is no live stream meanwhile. */
  #isInFile = false;
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

  get sound() {
    return this.#sound && { ...this.#sound };
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
   * @param {{ timeMs?: number, single?: boolean }} [options]
   */
  async analyze(source, options) {
    const { timeMs: givenMs, single } = readAnalyzeOptions(options);
    this.#refuseInFile("analyze");
    return this.#report(source, (picture, shownAtMs) => {
      if (single) {
        this.#listening?.restart();
        return { kind: "analyzeSingle", picture };
      }
      const nowMs = performance.now();
      const timeMs = givenMs ?? shownAtMs ?? nowMs;
      this.#clock.meet(timeMs, nowMs);
      this.#listening?.reach(timeMs);
      return { kind: "analyze", picture, timeMs };
    });
  }

  /** @param {unknown} source */
  async analyzeFace(source) {
    this.#refuseWithoutFaces("analyzeFace");
    return this.#report(source, (picture) => ({ kind: "analyzeFace", picture }));
  }

  /**
   * @param {unknown} source
   * @param {unknown} [options]
   */
  async listen(source, options) {
    this.#refuseDisposed();
    const plan = readListenOptions(options);
    kindOfSource(source);
    if (!this.#sound) throw new AffectLensError("bad-argument", "listen needs a lens that was loaded with `audio: true`");
    const listening = new Listening(plan, {
      hear: async (samples, timeMs) => {
        if (this.#restMs > 0) return false;
        await this.#ask({ kind: "hear", samples, timeMs }, [samples.buffer]);
        return true;
      },
      now: () => this.#clock.at(performance.now()),
      workletUrl: this.#plan.workletUrl,
    });
    this.#listening?.stop();
    this.#listening = listening;
    await listening.start(source);
    plan.signal?.throwIfAborted();
    this.#refuseDisposed();
    return listening;
  }

  /** @param {import("./index.js").SettingsChange} settings */
  async configure(settings) {
    this.#refuseDisposed();
    this.#refuseInFile("configure");
    this.#settings = await this.#ask({ kind: "configure", change: readChange(settings) });
    return this.settings;
  }

  /** @param {{ seconds?: number } | null} [options] */
  async calibrate(options = {}) {
    const seconds = readCalibration(options);
    this.#refuseWithoutFaces("calibrate");
    this.#refuseInFile("calibrate");
    await this.#ask({ kind: "calibrate", seconds });
  }

  /** @param {unknown} label */
  async learn(label) {
    const name = readLabel(label);
    this.#refuseWithoutFaces("learn");
    return this.#ask({ kind: "learn", label: name });
  }

  /** @param {unknown} [head] */
  async personalise(head) {
    const file = head === undefined ? undefined : readPersonalHead(head);
    this.#refuseWithoutFaces("personalise");
    const personal = await this.#ask(head === undefined ? { kind: "personalise" } : { kind: "setPersonal", file });
    this.#personal = personal?.head.slice() ?? file;
    return personal;
  }

  async reset() {
    this.#refuseDisposed();
    this.#refuseInFile("reset");
    this.#listening?.restart();
    await this.#ask({ kind: "reset" });
  }

  /**
   * @param {import("./index.js").SettingsChange} settings
   * @returns {Promise<import("./file-stream.js").FileStream>}
   */
  async [BEGIN_FILE](settings) {
    this.#refuseDisposed();
    this.#refuseInFile("analyzeFile");
    const change = readChange(settings);
    this.#isInFile = true;
    try {
      await this.#ask({ kind: "beginFile", change });
    } catch (error) {
      this.#isInFile = false;
      throw error;
    }
    // Not through `#ask`: another worker, after a failure of this one, would know nothing of the file.
    const connection = /** @type {Connection} */ (this.#connection);
    return {
      push: async ({ image, turn, timeMs }) => {
        const picture = { kind: /** @type {const} */ ("image"), image };
        try {
          return await connection.ask({ kind: "push", picture, turn, timeMs }, [image]);
        } finally {
          releasePicture(picture);
        }
      },
      finish: () => connection.ask({ kind: "finish" }),
      end: () => {
        this.#isInFile = false;
        connection.ask({ kind: "endFile" }).catch(() => {});
      },
    };
  }

  dispose() {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#listening?.stop();
    this.#connection?.close(afterDispose());
  }

  [DISPOSE]() {
    this.dispose();
  }

  /**
   * @param {unknown} source
   * @param {(picture: import("./picture.js").Picture, shownAtMs: number | undefined) => Request} toRequest
   */
  async #report(source, toRequest) {
    this.#refuseDisposed();
    this.#refuseResting();
    const asked = performance.now();
    const { picture, transfer, timeMs } = await takePicture(source);
    try {
      const report = await this.#ask(toRequest(picture, timeMs), transfer);
      this.#timings.firstResultMs ??= performance.now() - asked;
      return report;
    } finally {
      // Empty by now if it went to the worker.
      releasePicture(picture);
    }
  }

  /**
   * @param {Request} request
   * @param {Transferable[]} [transfer]
   */
  async #ask(request, transfer) {
    this.#refuseDisposed();
    this.#refuseResting();
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
    const loaded = await this.#connectAnywhere();
    this.#backoff.begin(performance.now());
    this.#device = loaded.device;
    this.#workgroupTiles = loaded.workgroupTiles;
    this.#settings = loaded.settings;
    this.#violence = loaded.violence;
    this.#sound = loaded.sound;
    this.#timings = { ...this.#timings, ...loaded.timings, loadMs: performance.now() - started };
  }

  async #connectAnywhere() {
    const { device } = this.#plan;
    if (device !== "auto") return this.#connect(device);
    const onCpu = async (/** @type {string | null} */ reason) => {
      const loaded = await this.#connect("cpu");
      loaded.device.fallback = reason;
      return loaded;
    };
    const { failures } = this.#backoff;
    if (failures > MOST_AT_ONCE) {
      const isNew = this.#device?.kind !== "cpu";
      return onCpu(isNew ? `WebGPU failed ${failures} times in a row: ${this.#failure?.message}` : (this.#device?.fallback ?? null));
    }
    try {
      return await this.#connect("auto");
    } catch (error) {
      const isOfGpu = this.#connection?.usesGpu && error instanceof AffectLensError && GPU_FAILURES.includes(error.code);
      if (!isOfGpu || this.#disposed) throw error;
      return onCpu(`WebGPU failed: ${error.message}`);
    }
  }

  /** @param {import("./index.js").DeviceChoice} device */
  async #connect(device) {
    const { detector, tasks, audio, people, pose, weights, wasmUrl, workerUrl, threads, warmUp, onProgress } = this.#plan;
    const isRestart = this.#device !== undefined;
    const carried = workerUrl === undefined ? carriedEngine() : undefined;
    const engine = carried && (await carried);
    this.#refuseDisposed();
    const connection = new Connection(workerUrl, engine?.worker, {
      onProgress: (progress) => onProgress?.(progress),
      onModule: (module) => {
        this.#module = module;
      },
      onRequest: () => this.#requests++,
      onEnd: (error) => {
        this.#failure = error;
        this.#backoff.fail(performance.now());
      },
    });
    this.#connection = connection;
    try {
      const chosen = { device, detector, tasks, audio, people, pose };
      // The first picture after a failure is waited for already: nothing is run before it.
      return await connection.ask({
        kind: "load", ...chosen, weights, wasmUrl, module: this.#module, engine: engine && { ...engine }, threads, warmUp: warmUp && !isRestart,
        settings: this.#settings, personal: this.#personal, isRestart, workgroupTiles: this.#workgroupTiles,
      });
    } catch (error) {
      connection.close(/** @type {Error} */ (error));
      throw error;
    }
  }

  /** How long nothing is started after failures, milliseconds. */
  get #restMs() {
    return this.#connection?.isOpen || this.#starting ? 0 : this.#backoff.restMs(performance.now());
  }

  #refuseResting() {
    if (this.#restMs <= 0 || !this.#failure) return;
    const { message } = this.#failure;
    const code = this.#failure instanceof AffectLensError ? this.#failure.code : "crashed";
    const [failures, seconds] = [this.#backoff.failures, Math.ceil(this.#restMs / 1000)];
    throw new AffectLensError(code, `${message}; the model failed ${failures} times in a row and is started again in ${seconds} s at the earliest`);
  }

  /** @param {string} call */
  #refuseWithoutFaces(call) {
    this.#refuseDisposed();
    const { tasks } = this.#plan;
    if (tasks.some((task) => FACE_TASKS.includes(task))) return;
    throw new AffectLensError("bad-argument", `${call} needs one of the tasks ${FACE_TASKS.join(", ")}; loaded is ${tasks.join(", ")}`);
  }

  /** @param {string} call */
  #refuseInFile(call) {
    if (!this.#isInFile) return;
    throw new AffectLensError("bad-argument", `${call}: the lens is analysing a file; wait for its end, or load another lens`);
  }

  #refuseDisposed() {
    if (this.#disposed) throw afterDispose();
  }
}

function afterDispose() {
  return new AffectLensError("disposed", "the lens is disposed");
}
