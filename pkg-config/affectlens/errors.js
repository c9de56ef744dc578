// @ts-check

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
  if (typeof value === "object") return Object.prototype.toString.call(value).slice(8, -1);
  return typeof value;
}
