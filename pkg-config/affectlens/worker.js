// @ts-check
/// <reference lib="webworker" />
// Owns the model: gets weights and module, then answers one request after the other.

import initialise, { Lens, lastPanic } from "./affectlens.js";
import { CpuWorkers } from "./cpu.js";
import { AffectLensError, ERROR_CODES } from "./errors.js";
import { FACE_TASKS } from "./names.js";
import { readPixels } from "./pixels.js";
import { LANDMARKS_OF_POSE, gatherWeights } from "./weights.js";

/**
 * @typedef {import("./messages.js").Request} Request
 * @typedef {import("./messages.js").LoadRequest} LoadRequest
 * @typedef {import("./messages.js").Reply} Reply
 */

const scope = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));

/** @type {Lens | undefined} */
let lens;
/** @type {Promise<void>} */
let queue = Promise.resolve();

scope.addEventListener("message", ({ data }) => {
  const { id, request } = /** @type {{ id: number, request: Request }} */ (data);
  queue = queue.then(() => answer(id, request));
});
// A panic inside an asynchronous call leaves its promise unsettled and surfaces here.
scope.addEventListener("error", (event) => stop(event.error ?? event.message));
scope.addEventListener("unhandledrejection", (event) => stop(event.reason));

/**
 * @param {number} id
 * @param {Request} request
 */
async function answer(id, request) {
  try {
    reply({ kind: "done", id, value: await act(request) });
  } catch (error) {
    const { code, message, fatal } = explain(error);
    reply({ kind: "failed", id, code, message, fatal });
  }
}

/** @param {Request} request */
async function act(request) {
  if (request.kind === "load") return load(request);
  if (!lens) throw new AffectLensError("bad-argument", "the worker has no model yet");
  switch (request.kind) {
    case "analyze": {
      const { width, height, rgba } = readPixels(request.picture);
      return lens.analyze(width, height, rgba, request.timeMs);
    }
    case "analyzeSingle": {
      const { width, height, rgba } = readPixels(request.picture);
      return lens.analyzeSingle(width, height, rgba);
    }
    case "analyzeFace": {
      const { width, height, rgba } = readPixels(request.picture);
      return lens.analyzeFace(width, height, rgba);
    }
    case "hear":
      return lens.hear(request.samples, request.timeMs);
    case "configure":
      configure(lens, request.change);
      return lens.settings();
    case "calibrate":
      return lens.calibrate(request.seconds);
    case "reset":
      return lens.reset();
  }
}

/** @param {LoadRequest} request */
async function load({ device, detector, tasks, audio, people, pose, weights, wasmUrl, threads, warmUp, settings }) {
  const started = performance.now();
  progress("weights", 0, 0, false);
  const [files, moduleMs] = await Promise.all([
    gatherWeights(
      weights,
      tasks,
      detector,
      audio,
      ({ loadedBytes, totalBytes, cached }) => progress("weights", loadedBytes, totalBytes, cached),
      pose,
    ),
    startModule(wasmUrl),
  ]);
  if (detector !== "short-range" && tasks.some((task) => FACE_TASKS.includes(task)) && !files.fullRangeDetector) {
    throw new AffectLensError("weights-missing", `weights have no \`fullRangeDetector\`, which the detector \`${detector}\` needs`);
  }
  const points = LANDMARKS_OF_POSE[pose];
  if (pose !== "lite" && tasks.includes("pose") && !files[points]) {
    throw new AffectLensError("weights-missing", `weights have no \`${points}\`, which \`pose: "${pose}"\` needs`);
  }
  if (audio && !files.voice) throw new AffectLensError("weights-missing", "weights have no `voice`, which `audio: true` needs");
  const gathered = performance.now();
  progress("device");
  const obstacle = device === "cpu" ? undefined : await findObstacle();
  if (obstacle && device === "webgpu") throw new AffectLensError("webgpu-unavailable", obstacle);
  const choice = obstacle ? "cpu" : device;
  const cpu = new CpuWorkers(threads);
  lens = await Lens.open(choice, tasks, files, cpu, people);
  if (settings) configure(lens, settings);
  const opened = performance.now();
  if (warmUp) {
    progress("warm-up");
    await runOnce(lens, tasks);
  }
  const ended = performance.now();
  watchRequests();
  return {
    device: await describeDevice(lens.device(), obstacle, cpu),
    settings: lens.settings(),
    violence: lens.violence(),
    sound: lens.sound(),
    timings: { gatherMs: gathered - started, moduleMs, openMs: opened - gathered, warmUpMs: ended - opened },
  };
}

/**
 * The module takes all settings at once.
 *
 * @param {Lens} lens
 * @param {import("./messages.js").GroupedChange} change
 */
function configure(lens, change) {
  /** @type {import("./messages.js").GroupedSettings} */
  const { faces, violence } = lens.settings();
  lens.configure({ faces: { ...faces, ...change.faces }, violence: { ...violence, ...change.violence } });
}

/** @param {string | undefined} wasmUrl */
async function startModule(wasmUrl) {
  const started = performance.now();
  try {
    await initialise({ module_or_path: wasmUrl ?? new URL("./affectlens_bg.wasm", import.meta.url) });
  } catch (cause) {
    throw new AffectLensError("module-failed", `the wasm module does not start: ${textOf(cause)}`, { cause });
  }
  return performance.now() - started;
}

/**
 * Compiles every shader and allocates every buffer before the first real picture: without it the first
 * result takes seconds where later ones take milliseconds.
 *
 * @param {Lens} lens
 * @param {readonly import("./index.js").Task[]} tasks
 */
async function runOnce(lens, tasks) {
  const [width, height] = [224, 224];
  const grey = new Uint8Array(width * height * 4).fill(128);
  await lens.analyze(width, height, grey, 0);
  if (tasks.some((task) => FACE_TASKS.includes(task))) await lens.analyzeFace(width, height, grey);
  lens.reset();
}

/** Why there is no WebGPU, where the browser itself knows. */
async function findObstacle() {
  if (!navigatorGpu()) return "this browser has no WebGPU";
  return (await requestAdapter()) ? undefined : "the browser offers no WebGPU adapter";
}

/**
 * Browsers name the adapter to scripts, not to the GPU layer of the module.
 *
 * @param {Omit<import("./index.js").DeviceReport, "cpu">} device
 * @param {string | undefined} obstacle
 * @param {CpuWorkers} workers
 */
async function describeDevice(device, obstacle, workers) {
  if (device.kind !== "webgpu") return { ...device, fallback: obstacle ?? device.fallback, cpu: workers.report };
  const info = (await requestAdapter())?.info;
  const names = [info?.vendor, info?.architecture, info?.device, info?.description].filter(Boolean);
  return { ...device, adapter: names.length > 0 ? names.join(" ") : device.adapter, cpu: null };
}

async function requestAdapter() {
  return navigatorGpu()?.requestAdapter({ powerPreference: "high-performance" });
}

/** WebGPU's types are not in every TypeScript library yet. */
function navigatorGpu() {
  return /** @type {any} */ (navigator).gpu;
}

/** Tells the page of every request that this worker makes from now on: there should be none. */
function watchRequests() {
  const loaded = performance.now();
  new PerformanceObserver((list) => {
    for (const { name, startTime } of list.getEntries()) {
      // Browsers may tell late of what was requested while loading.
      if (startTime >= loaded) reply({ kind: "request", url: name });
    }
  }).observe({ type: "resource" });
}

/** @param {unknown} error */
function stop(error) {
  const { code, message } = explain(error);
  reply({ kind: "stopped", code: code === "device-lost" ? code : "crashed", message });
}

/**
 * @param {unknown} error
 * @returns {{ code: import("./index.js").ErrorCode, message: string, fatal: boolean }}
 */
function explain(error) {
  if (error instanceof WebAssembly.RuntimeError) {
    const message = lastPanic() ?? error.message;
    // The GPU layer panics when its device goes away under it.
    const code = /device\b.*\blost\b/is.test(message) ? "device-lost" : "crashed";
    return { code, message, fatal: true };
  }
  const code = ERROR_CODES.find((code) => code === /** @type {any} */ (error)?.code);
  if (code === undefined) return { code: "crashed", message: textOf(error), fatal: true };
  return { code, message: textOf(error), fatal: code === "device-lost" };
}

/** @param {unknown} error */
function textOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * @param {import("./index.js").Progress["stage"]} stage
 * @param {number} [loadedBytes]
 * @param {number} [totalBytes]
 * @param {boolean} [cached]
 */
function progress(stage, loadedBytes, totalBytes, cached) {
  reply({ kind: "progress", progress: { stage, loadedBytes, totalBytes, cached } });
}

/** @param {Reply} message */
function reply(message) {
  scope.postMessage(message);
}
