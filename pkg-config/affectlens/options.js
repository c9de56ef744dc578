// @ts-check
// Checks what callers give to `load` and `analyze`, and completes it.

import { badArgument as bad, tagOf } from "./errors.js";
import { ANYTHING, A_BOOLEAN, A_FUNCTION, A_SIGNAL, aNumber, oneOf, readFields, wholeNumber } from "./fields.js";
import { DEFAULT_PEOPLE, DEVICES, MOST_PEOPLE, TASKS } from "./names.js";
import { ROLES, isBlob, readManifest } from "./weights.js";

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

/** What is `ANYTHING` is judged where it is read. @type {Record<keyof LoadOptions, import("./fields.js").Field>} */
const LOAD_FIELDS = {
  tasks: ANYTHING,
  audio: A_BOOLEAN,
  people: wholeNumber(1, MOST_PEOPLE),
  pose: oneOf(POSES),
  detector: oneOf(DETECTORS),
  device: oneOf(DEVICES),
  weights: ANYTHING,
  wasmUrl: ANYTHING,
  workerUrl: ANYTHING,
  workletUrl: ANYTHING,
  threads: wholeNumber(1, MOST_THREADS),
  warmUp: A_BOOLEAN,
  onProgress: A_FUNCTION,
  signal: A_SIGNAL,
};
const ANALYZE_FIELDS = { single: A_BOOLEAN, timeMs: aNumber("a finite number", Number.isFinite) };
const CALIBRATE_FIELDS = { seconds: aNumber(`a number above 0, at most ${MOST_SECONDS}`, (value) => value > 0 && value <= MOST_SECONDS) };

/**
 * @param {LoadOptions} options
 * @returns {Plan}
 */
export function readOptions(options) {
  const { tasks = ["expression"], device = "auto", detector = "short-range", audio = false, warmUp = true } = readFields(options, LOAD_FIELDS);
  const { people = DEFAULT_PEOPLE, pose = "lite" } = options;
  const { weights, wasmUrl, workerUrl, workletUrl, threads, onProgress } = options;
  if (!Array.isArray(tasks) || tasks.length === 0) throw bad("tasks", tasks, "an array of task names");
  for (const task of tasks) {
    if (!TASKS.includes(task)) throw bad("tasks", task, `one of ${TASKS.join(", ")}`);
  }
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
  return readFields(/** @type {import("./index.js").AnalyzeOptions} */ (options), ANALYZE_FIELDS, "an object like { timeMs: 40 }");
}

/**
 * How long a neutral look is taken for, seconds; `undefined` undoes it.
 *
 * @param {unknown} options
 * @returns {number | undefined}
 */
export function readCalibration(options) {
  if (options === null) return undefined;
  const given = /** @type {import("./index.js").CalibrateOptions} */ (options);
  return readFields(given, CALIBRATE_FIELDS, "an object like { seconds: 3 }, or null").seconds ?? 3;
}

/**
 * The name of an expression; the model knows which there are.
 *
 * @param {unknown} label
 */
export function readLabel(label) {
  if (typeof label !== "string") throw bad("label", label, "the name of an expression");
  return label;
}

/**
 * The file of a personal head, a copy; `undefined` to forget the one in force.
 *
 * @param {unknown} head
 */
export function readPersonalHead(head) {
  if (head === null) return undefined;
  if (!(head instanceof Uint8Array)) throw bad("head", head, "a Uint8Array, or null");
  return head.slice();
}

/**
 * A whole address; relative ones are seen from the page, wherever they are used.
 *
 * @param {string} name
 * @param {unknown} url
 */
function readAddress(name, url) {
  if (url === undefined) return undefined;
  if (typeof url !== "string" && !isUrl(url)) throw bad(name, url, "a string or URL");
  return resolve(name, url).href;
}

/**
 * @param {LoadOptions["weights"]} weights
 * @returns {import("./weights.js").WeightsSource}
 */
function readWeights(weights) {
  if (weights === undefined || typeof weights === "string" || isUrl(weights)) {
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
    files[known] = isBlob(bytes) ? bytes : readBytes(`weights.${role}`, bytes);
  }
  return { kind: "bytes", files };
}

/**
 * @param {unknown} value
 * @returns {value is URL}
 */
function isUrl(value) {
  return tagOf(value) === "URL";
}

/**
 * @param {unknown} value
 * @returns {value is ArrayBuffer | Uint8Array | Blob}
 */
function isBytes(value) {
  return ["ArrayBuffer", "Uint8Array"].includes(tagOf(value)) || isBlob(value);
}

/**
 * @param {string} name
 * @param {ArrayBuffer | Uint8Array} bytes
 */
function readBytes(name, bytes) {
  try {
    return ArrayBuffer.isView(bytes) ? bytes : new Uint8Array(bytes);
  } catch {
    throw bad(name, bytes, "bytes that are still there; they were transferred to somewhere else");
  }
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
