// @ts-check
// Checks what callers give to `load` and `analyze`, and completes it.

import { badArgument as bad } from "./errors.js";
import { DEFAULT_PEOPLE, DEVICES, MOST_PEOPLE, TASKS } from "./names.js";
import { ROLES, readManifest } from "./weights.js";

/**
 * @typedef {import("./index.js").LoadOptions} LoadOptions
 * @typedef {Required<Pick<LoadOptions, "device" | "detector" | "tasks" | "audio" | "people" | "pose" | "warmUp">> & Pick<LoadOptions, "threads" | "onProgress">
 *   & { weights: import("./weights.js").WeightsSource, wasmUrl: string | undefined, workerUrl: string | undefined,
 *   workletUrl: string | undefined }} Plan addresses are whole
 */

const DETECTORS = ["auto", "short-range", "full-range"];
const POSES = ["lite", "full", "heavy"];
const MOST_THREADS = 64;
/** A look is not held for longer; the mean would be one of something else. */
const MOST_SECONDS = 60;

/**
 * @param {LoadOptions} options
 * @returns {Plan}
 */
export function readOptions(options) {
  if (typeof options !== "object" || options === null) throw bad("options", options, "an object");
  const { tasks = ["expression"], device = "auto", detector = "short-range", audio = false, warmUp = true } = options;
  const { people = DEFAULT_PEOPLE, pose = "lite" } = options;
  const { weights, wasmUrl, workerUrl, workletUrl, threads, onProgress, signal } = options;
  if (!Array.isArray(tasks) || tasks.length === 0) throw bad("tasks", tasks, "an array of task names");
  for (const task of tasks) {
    if (!TASKS.includes(task)) throw bad("tasks", task, `one of ${TASKS.join(", ")}`);
  }
  if (!DEVICES.includes(device)) throw bad("device", device, `one of ${DEVICES.join(", ")}`);
  if (!DETECTORS.includes(detector)) throw bad("detector", detector, `one of ${DETECTORS.join(", ")}`);
  if (!(Number.isInteger(people) && people >= 1 && people <= MOST_PEOPLE)) {
    throw bad("people", people, `a whole number from 1 to ${MOST_PEOPLE}`);
  }
  if (!POSES.includes(pose)) throw bad("pose", pose, `one of ${POSES.join(", ")}`);
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS)) {
    throw bad("threads", threads, `a whole number from 1 to ${MOST_THREADS}`);
  }
  if (typeof audio !== "boolean") throw bad("audio", audio, "a boolean");
  if (typeof warmUp !== "boolean") throw bad("warmUp", warmUp, "a boolean");
  if (onProgress !== undefined && typeof onProgress !== "function") throw bad("onProgress", onProgress, "a function");
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw bad("signal", signal, "an AbortSignal");
  return {
    device,
    detector,
    tasks: [...tasks],
    audio,
    people,
    pose,
    weights: readWeights(weights),
    wasmUrl: readAddress("wasmUrl", wasmUrl),
    workerUrl: readAddress("workerUrl", workerUrl),
    workletUrl: readAddress("workletUrl", workletUrl),
    threads,
    warmUp,
    onProgress,
  };
}

/**
 * What is said of a picture in `analyze`.
 *
 * @param {unknown} options
 * @returns {{ timeMs?: number, single?: boolean }}
 */
export function readAnalyzeOptions(options) {
  if (options === undefined) return {};
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw bad("options", options, "an object like { timeMs: 40 }");
  }
  const { timeMs, single } = /** @type {{ timeMs?: unknown, single?: unknown }} */ (options);
  if (single !== undefined && typeof single !== "boolean") throw bad("single", single, "a boolean");
  if (timeMs === undefined) return { single };
  if (typeof timeMs !== "number" || !Number.isFinite(timeMs)) throw bad("timeMs", timeMs, "a finite number");
  return { timeMs, single };
}

/**
 * How long a neutral look is taken for, seconds; `undefined` undoes it.
 *
 * @param {unknown} options
 * @returns {number | undefined}
 */
export function readCalibration(options) {
  if (options === null) return undefined;
  if (typeof options !== "object" || Array.isArray(options)) throw bad("options", options, "an object like { seconds: 3 }, or null");
  const { seconds = 3 } = /** @type {{ seconds?: unknown }} */ (options);
  if (typeof seconds !== "number" || !(seconds > 0 && seconds <= MOST_SECONDS)) {
    throw bad("seconds", seconds, `a number above 0, at most ${MOST_SECONDS}`);
  }
  return seconds;
}

/**
 * A whole address; relative ones are seen from the page, wherever they are used.
 *
 * @param {string} name
 * @param {unknown} url
 */
function readAddress(name, url) {
  if (url === undefined) return undefined;
  if (typeof url !== "string" && !(url instanceof URL)) throw bad(name, url, "a string or URL");
  return resolve(name, url).href;
}

/**
 * @param {LoadOptions["weights"]} weights
 * @returns {import("./weights.js").WeightsSource}
 */
function readWeights(weights) {
  if (weights === undefined || typeof weights === "string" || weights instanceof URL) {
    return { kind: "manifest", url: manifestUrl(weights ?? "./weights/") };
  }
  const expected = "a URL, a manifest or bytes";
  if (typeof weights !== "object" || weights === null || isBytes(weights)) throw bad("weights", weights, expected);
  if ("files" in weights) return { kind: "remote", files: readManifest(weights, pageAddress() ?? "") };
  /** @type {Partial<Record<import("./weights.js").Role, Uint8Array | Blob>>} */
  const files = {};
  for (const [role, bytes] of Object.entries(weights)) {
    const known = ROLES.find((name) => name === role);
    if (!known) throw bad("weights", role, `files named ${ROLES.join(", ")}`);
    if (!isBytes(bytes)) throw bad(`weights.${role}`, bytes, "an ArrayBuffer, Uint8Array, Blob or File");
    files[known] = bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes;
  }
  return { kind: "bytes", files };
}

/**
 * @param {unknown} value
 * @returns {value is ArrayBuffer | Uint8Array | Blob}
 */
function isBytes(value) {
  return value instanceof ArrayBuffer || value instanceof Uint8Array || value instanceof Blob;
}

/** @param {string | URL} weights */
function manifestUrl(weights) {
  const url = resolve("weights", weights);
  if (!url.pathname.endsWith(".json")) {
    if (!url.pathname.endsWith("/")) url.pathname += "/";
    url.pathname += "manifest.json";
  }
  return url.href;
}

/**
 * @param {string} name
 * @param {string | URL} url
 */
function resolve(name, url) {
  try {
    return new URL(url, pageAddress());
  } catch {
    throw bad(name, String(url), "an address that this page can resolve");
  }
}

function pageAddress() {
  return globalThis.document?.baseURI ?? globalThis.location?.href;
}
