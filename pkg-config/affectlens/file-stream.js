// @ts-check
// How `affectlens/file` reaches the worker of a lens. Private to the package.

/**
 * The method of a lens that begins a file. A registered symbol, since bundlers may put this module into a page twice.
 *
 * @type {unique symbol}
 */
export const BEGIN_FILE = /** @type {any} */ (Symbol.for("affectlens.beginFile"));

/** Transfer functions of a high dynamic range, as WebCodecs names them; the browser maps them to the screen's. */
export const HIGH_RANGE = ["pq", "hlg"];

/**
 * @typedef {import("./file.js").FileReport} FileReport
 * @typedef {{
 *   push: (frame: import("./file-frames.js").FileFrame) => Promise<FileReport[]>,
 *   finish: () => Promise<FileReport[]>,
 *   end: () => void,
 * }} FileStream frames go in, and reports come out once they are complete. `push` takes the image over. After `end` the lens
 *   has a live stream again, whatever is still under way
 */
