// @ts-check
/// <reference lib="webworker" />
// Owns the model: gets weights and module, then answers one request after the other.

import initialise, { Lens, WeightFiles, lastPanic } from "./affectlens.js";
import { CpuWorkers } from "./cpu.js";
import { Downloads } from "./downloads.js";
import { unpack } from "./engine.js";
import { AffectLensError, ERROR_CODES, textOf } from "./errors.js";
import { readFrame } from "./file-pixels.js";
import { findAdapter, guardGpu } from "./gpu.js";
import { isPage, leftBehind } from "./moved.js";
import { FACE_TASKS } from "./names.js";
import { readPixels } from "./pixels.js";
import { within } from "./time-limit.js";
import { LANDMARKS_OF_POSE, gatherWeights } from "./weights.js";

/**
 * @typedef {import("./messages.js").Message} Message
 * @typedef {import("./messages.js").Request} Request
 * @typedef {import("./messages.js").LoadRequest} LoadRequest
 * @typedef {import("./messages.js").Reply} Reply
 */

/** A server that has not begun to answer by then is given up; what it sends may take longer, but not for ever. */
const MODULE_ANSWER_MS = 30_000;
const MODULE_MS = 300_000;
/** A GPU in software on a busy machine takes a minute to open, and some seconds for a picture. */
const OPEN_MS = 120_000;
const ANSWER_MS = 120_000;
/** A single picture is looked at in many parts. */
const SINGLE_MS = 600_000;

const scope = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));

/** @type {Lens | undefined} */
let lens;
/** Whether networks run on the GPU, or are about to. */
let usesGpu = false;
/** @type {Promise<void>} */
let queue = Promise.resolve();

scope.addEventListener("message", ({ data }) => {
  const message = /** @type {Message} */ (data);
  if (message === "knock") return reply({ kind: "here" });
  const { id, request } = message;
  queue = queue.then(() => answer(id, request));
});
// A panic inside an asynchronous call leaves its promise unsettled and surfaces here.
scope.addEventListener("error", (event) => stop(event.error ?? event.message));
scope.addEventListener("unhandledrejection", (event) => stop(event.reason));
guardGpu((reason) => {
  if (usesGpu) stop(new AffectLensError("device-lost", `the GPU device was lost${reason ? `: ${reason}` : ""}`));
});

/**
 * @param {number} id
 * @param {Request} request
 */
async function answer(id, request) {
  try {
    reply({ kind: "done", id, value: await answerInTime(request) });
  } catch (error) {
    const { code, message, fatal } = explain(error);
    reply({ kind: "failed", id, code, message, fatal });
  }
}

/** @param {Request} request */
function answerInTime(request) {
  // Its own parts have limits: a slow network may take as long as it needs.
  if (request.kind === "load") return load(request);
  const limitMs = request.kind === "analyzeSingle" ? SINGLE_MS : ANSWER_MS;
  return within(limitMs, act(request), () => tooLate(`\`${request.kind}\` was not done`, limitMs));
}

/** @param {Exclude<Request, LoadRequest>} request */
async function act(request) {
  if (request.kind === "push") return push(request);
  if ("picture" in request) return look(request);
  if (!lens) throw noModel();
  switch (request.kind) {
    case "hear":
      return lens.hear(request.samples, request.timeMs);
    case "configure":
      configure(lens, request.change);
      return lens.settings();
    case "calibrate":
      return lens.calibrate(request.seconds);
    case "learn":
      return lens.learn(request.label);
    case "personalise":
      return { ...lens.personalise(), head: lens.personalFile() };
    case "setPersonal":
      return lens.setPersonal(request.file);
    case "reset":
      return lens.reset();
    case "beginFile":
      lens.beginFile();
      return configure(lens, request.change);
    case "finish":
      return lens.finish();
    case "endFile":
      return lens.endFile();
  }
}

/** @param {Extract<Request, { kind: "push" }>} request */
async function push({ picture, turn, timeMs }) {
  // First, since it closes the picture, whatever becomes of it.
  const read = await readFrame(picture);
  if (!lens) throw noModel();
  const quarters = turn / 90;
  if ("planes" in read) return lens.pushPlanes(read.planes, read.bytes, quarters, timeMs);
  return lens.push(read.width, read.height, read.rgba, quarters, timeMs);
}

/** @param {Exclude<Extract<Request, { picture: unknown }>, { kind: "push" }>} request */
async function look(request) {
  // First, since it closes the picture, whatever becomes of it.
  const { width, height, rgba } = readPixels(request.picture);
  if (!lens) throw noModel();
  switch (request.kind) {
    case "analyze":
      return lens.analyze(width, height, rgba, request.timeMs);
    case "analyzeSingle":
      return lens.analyzeSingle(width, height, rgba);
    case "analyzeFace":
      return lens.analyzeFace(width, height, rgba);
  }
}

function noModel() {
  return new AffectLensError("bad-argument", "the worker has no model yet");
}

/** @param {LoadRequest} request */
async function load({
  device, detector, tasks, audio, people, pose, weights, wasmUrl, module, engine, threads, warmUp, settings, personal, isRestart, workgroupTiles,
}) {
  const began = performance.now();
  progress("weights", 0, 0, false);
  const looking = device === "cpu" ? undefined : findAdapter(isRestart);
  // Nothing is fetched for a device that is not there.
  const missing = device === "webgpu" ? (await looking)?.obstacle : undefined;
  if (missing) throw new AffectLensError("webgpu-unavailable", missing);
  const downloads = new Downloads(({ loadedBytes, totalBytes, cached }) => progress("weights", loadedBytes, totalBytes, cached));
  const cpu = new CpuWorkers(threads, engine);
  // Beside the downloads, where it is certain that it is wanted.
  if (device === "cpu") void cpu.start();
  if (weights.kind === "bytes") downloads.meetWeights({ loadedBytes: 0, totalBytes: 0, cached: false });
  const starting = module ? startAgain(module, downloads) : startModule(wasmUrl, engine, downloads);
  const reading = starting.then(() => new WeightFiles());
  const gathering = gatherWeights({
    source: weights,
    tasks,
    detector,
    audio,
    pose,
    onBytes: (bytes) => downloads.meetWeights(bytes),
    read: async (role, bytes) => (await reading).add(role, bytes),
  });
  const [{ roles, kept }, started, files] = await Promise.all([gathering, starting, reading]);
  if (detector !== "short-range" && tasks.some((task) => FACE_TASKS.includes(task)) && !roles.includes("fullRangeDetector")) {
    throw new AffectLensError("weights-missing", `weights have no \`fullRangeDetector\`, which the detector \`${detector}\` needs`);
  }
  const points = LANDMARKS_OF_POSE[pose];
  if (pose !== "lite" && tasks.includes("pose") && !roles.includes(points)) {
    throw new AffectLensError("weights-missing", `weights have no \`${points}\`, which \`pose: "${pose}"\` needs`);
  }
  if (audio && !roles.includes("voice")) throw new AffectLensError("weights-missing", "weights have no `voice`, which `audio: true` needs");
  const gathered = performance.now();
  const adapter = await looking;
  usesGpu = adapter !== undefined && !adapter.obstacle;
  progress("device");
  const opening = Lens.open(usesGpu ? device : "cpu", tasks, files, cpu, people, workgroupTiles);
  lens = await within(OPEN_MS, opening, () => tooLate("the networks were not built", OPEN_MS));
  if (settings) configure(lens, settings);
  if (personal) lens.setPersonal(personal);
  const opened = performance.now();
  const { workgroupTiles: formOfKernels, ...report } = lens.device();
  usesGpu = report.kind === "webgpu";
  if (warmUp) {
    progress("warm-up");
    await within(OPEN_MS, runOnce(lens, tasks), () => tooLate("the first run did not end", OPEN_MS));
  }
  const ended = performance.now();
  // By now it mostly is, while networks were built: a page that loads to have the files for later may go at once.
  await kept;
  watchRequests();
  handOver(started.module);
  return {
    device: usesGpu
      ? { ...report, adapter: adapter?.name ?? report.adapter, cpu: null }
      : { ...report, fallback: adapter?.obstacle ?? report.fallback, cpu: cpu.report },
    workgroupTiles: usesGpu ? formOfKernels : workgroupTiles,
    settings: lens.settings(),
    violence: lens.violence(),
    sound: lens.sound(),
    timings: { gatherMs: gathered - began, moduleMs: started.moduleMs, openMs: opened - gathered, warmUpMs: ended - opened },
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

/**
 * @param {WebAssembly.Module} module that a worker before this one has loaded
 * @param {Downloads} downloads
 */
async function startAgain(module, downloads) {
  const began = performance.now();
  downloads.haveModule();
  await initialise({ module_or_path: module });
  return { module, moduleMs: performance.now() - began };
}

/**
 * @param {string | undefined} wasmUrl
 * @param {import("./engine.js").Engine | undefined} engine
 * @param {Downloads} downloads
 */
async function startModule(wasmUrl, engine, downloads) {
  const began = performance.now();
  const ended = new AbortController();
  const late = () => new Error("its address gives no answer");
  const fetchModule = async () => {
    // Bundlers find the file by this very expression.
    const url = wasmUrl ?? new URL("./affectlens_bg.wasm", import.meta.url);
    const response = await within(MODULE_ANSWER_MS, fetch(url, { signal: ended.signal }), late);
    if (!response.ok) throw new Error(`\`${url}\` answered ${response.status}; ${leftBehind("wasmUrl")}`);
    if (isPage(response)) throw new Error(`\`${url}\` answered with a page; ${leftBehind("wasmUrl")}`);
    return response;
  };
  const start = async () => {
    const response = wasmUrl === undefined && engine ? unpack(engine.wasm) : await fetchModule();
    const counting = downloads.countModule(response);
    const module = await compile(response);
    await initialise({ module_or_path: module });
    await counting;
    return module;
  };
  try {
    const module = await within(MODULE_MS, start(), late);
    return { module, moduleMs: performance.now() - began };
  } catch (cause) {
    ended.abort();
    throw new AffectLensError("module-failed", `the wasm module does not start: ${textOf(cause)}`, { cause });
  }
}

/**
 * While it comes, where the server says that it is wasm.
 *
 * @param {Response} response
 */
async function compile(response) {
  const isTold = /^application\/wasm\b/i.test(response.headers.get("content-type") ?? "");
  return isTold ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
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

/**
 * Gives the page the module for the next worker, should this one fail.
 *
 * @param {WebAssembly.Module} module
 */
function handOver(module) {
  try {
    reply({ kind: "module", module });
  } catch {
    // A browser that hands no modules over: the next worker loads its own.
  }
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

/**
 * What is so late may still be under way: nothing can follow it in this worker.
 *
 * @param {string} what
 * @param {number} limitMs
 */
function tooLate(what, limitMs) {
  const message = `${what} within ${limitMs / 1000} s`;
  return Object.assign(new AffectLensError(usesGpu ? "device-failed" : "crashed", message), { isFatal: true });
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
  return { code, message: textOf(error), fatal: code === "device-lost" || /** @type {any} */ (error).isFatal === true };
}

/**
 * @param {import("./index.js").Progress["stage"]} stage
 * @param {number} [loadedBytes]
 * @param {number} [totalBytes]
 * @param {boolean} [cached]
 */
function progress(stage, loadedBytes, totalBytes, cached) {
  reply({ kind: "progress", progress: { stage, loadedBytes, totalBytes, cached }, usesGpu });
}

/** @param {Reply} message */
function reply(message) {
  scope.postMessage(message);
}
