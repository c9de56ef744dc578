// @ts-check
// Starts the package's workers: where the bundler has put them, also on another origin than the page, or from a text.

import { AffectLensError, textOf } from "./errors.js";
import { leftBehind, whereItLies } from "./moved.js";

/** @typedef {{ worker: Worker, address: string }} Started `address`: where its script is, for people */

/** @type {WorkerOptions} */
const A_MODULE = { type: "module" };

/**
 * Starts a worker that bundlers know of.
 *
 * @param {() => Worker} start holds the constructor with the file's address beside the module, and no more: by this very
 *   expression bundlers find the file, and only while it runs can be seen what they have made of the address
 * @returns {Started}
 */
export function startFound(start) {
  /** @type {{ url: string | URL, options?: WorkerOptions } | undefined} */
  let caught;
  const given = globalThis.Worker;
  class Catcher {
    /**
     * @param {string | URL} url
     * @param {WorkerOptions} [options]
     */
    constructor(url, options) {
      caught = { url, options };
    }
  }
  const isWatched = Reflect.set(globalThis, "Worker", Catcher);
  try {
    const worker = start();
    // A page that lets nobody set its globals, or a bundler with a constructor of its own: it is started by now.
    if (!caught) return { worker, address: "where the bundler has put it" };
  } catch (cause) {
    throw new AffectLensError("module-failed", `the worker does not start: ${textOf(cause)}; ${leftBehind("workerUrl")}`, { cause });
  } finally {
    if (isWatched) globalThis.Worker = given;
  }
  return startAt(whereItLies(caught.url), caught.options);
}

/**
 * Starts the script at an address. A worker's own script must be of the page's origin, but what it loads need not be: a script
 * from another origin is loaded by one that is made here.
 *
 * @param {string} address
 * @param {WorkerOptions} [options]
 * @returns {Started}
 */
export function startAt(address, options = A_MODULE) {
  try {
    if (!isElsewhere(address)) return { worker: new Worker(address, options), address };
    const quoted = JSON.stringify(address);
    return { ...startText(options.type === "module" ? `import ${quoted};` : `importScripts(${quoted});`, options), address };
  } catch (cause) {
    throw new AffectLensError("module-failed", explainStart(address, textOf(cause)), { cause });
  }
}

/**
 * @param {string} text of the script
 * @param {WorkerOptions} [options]
 * @returns {Started}
 */
export function startText(text, options = A_MODULE) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const worker = new Worker(address, options);
  // It is loaded by then; some browsers lose a script whose address is withdrawn earlier.
  for (const event of ["message", "error"]) worker.addEventListener(event, () => URL.revokeObjectURL(address), { once: true });
  return { worker, address };
}

/**
 * Why a worker does not start, and what to do about it.
 *
 * @param {string} address
 * @param {string} [reason] the browser's own
 */
export function explainStart(address, reason) {
  const failure = `the worker does not start: ${reason || `its script cannot be loaded from ${address}`}`;
  if (/^blob:/.test(address)) {
    const hint = "where the page has a Content-Security-Policy, `affectlens/inline` needs `worker-src blob:` in it";
    return reason ? failure : `${failure}; ${hint}`;
  }
  if (!isElsewhere(address) && !/origin/i.test(reason ?? "")) return reason ? failure : `${failure}; ${leftBehind("workerUrl", address)}`;
  const { origin } = new URL(address);
  return (
    `${failure}; files from another origin need its permission (Access-Control-Allow-Origin), and where the page has a ` +
    `Content-Security-Policy, \`worker-src blob: ${origin}\`; or serve the package from the page's own origin and give its \`workerUrl\``
  );
}

/** @param {string} address */
function isElsewhere(address) {
  const { protocol, origin } = new URL(address, globalThis.location?.href);
  return /^https?:$/.test(protocol) && origin !== self.origin;
}
