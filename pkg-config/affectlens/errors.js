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
