// @ts-check

/** The codes that there are; `index.d.ts` describes each, and a test compares both with the engine's. */
export const ERROR_CODES = /** @type {const} */ ([
  "bad-argument",
  "picture-size",
  "picture-empty",
  "picture-tainted",
  "video-missing",
  "video-malformed",
  "video-unsupported",
  "sound-empty",
  "sound-tainted",
  "sound-blocked",
  "camera-denied",
  "camera-none",
  "camera-in-use",
  "camera-lost",
  "microphone-denied",
  "microphone-none",
  "microphone-in-use",
  "microphone-lost",
  "weights-missing",
  "weights-malformed",
  "weights-digest",
  "webgpu-unavailable",
  "device-lost",
  "device-failed",
  "crashed",
  "module-failed",
  "insecure-context",
  "internal",
  "unsupported",
  "disposed",
]);

/**
 * An error with a stable `code`; the message is for people and may change.
 *
 * @see {@link import("./index.js").ErrorCode} for the codes
 */
export class AffectLensError extends Error {
  /**
   * @param {import("./index.js").ErrorCode} code
   * @param {string} message
   * @param {ErrorOptions} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    this.name = "AffectLensError";
    this.code = code;
  }
}

/**
 * @param {string} name
 * @param {unknown} got
 * @param {string} expected
 */
export function badArgument(name, got, expected) {
  const shown = typeof got === "string" ? JSON.stringify(got) : typeof got === "number" ? String(got) : describe(got);
  return new AffectLensError("bad-argument", `${name} is ${shown}, expected ${expected}`);
}

/** @param {unknown} value */
export function describe(value) {
  if (value === null) return "null";
  if (typeof value === "object") return tagOf(value);
  return typeof value;
}

/**
 * The class of an object by its tag, not by `instanceof`: what comes from an iframe counts too.
 *
 * @param {unknown} value
 */
export function tagOf(value) {
  return Object.prototype.toString.call(value).slice(8, -1);
}

/**
 * What an error says; anything may be thrown.
 *
 * @param {unknown} error
 */
export function textOf(error) {
  const message = /** @type {any} */ (error)?.message;
  return typeof message === "string" ? message : String(error);
}
