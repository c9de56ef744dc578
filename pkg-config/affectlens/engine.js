// @ts-check
// The package's own files where they do not lie beside its modules, but are carried in one of them: `affectlens/inline`.

import { AffectLensError, textOf } from "./errors.js";

/**
 * @typedef {{
 *   worker: string, cpuWorker: string, listenWorklet: string,
 *   wasm: string, cpuRelaxed: string, cpuSimd: string,
 * }} Engine scripts as they are; wasm modules compressed with gzip, in base64
 */

/** @type {(() => Promise<Engine>) | undefined} */
let getCarried;

/** @param {() => Promise<Engine>} get called when something is loaded, not before */
export function carry(get) {
  getCarried = get;
}

/**
 * What is carried; nothing where files are to be found beside the modules.
 *
 * @returns {Promise<Engine> | undefined}
 */
export function carriedEngine() {
  return getCarried?.().catch((cause) => {
    const hint = "is the file that your bundler made for it on the server?";
    throw new AffectLensError("module-failed", `the engine in \`affectlens/inline\` does not load: ${textOf(cause)}; ${hint}`, { cause });
  });
}

/**
 * A wasm module that was carried, as a server would send it.
 *
 * @param {string} text gzip in base64
 */
export function unpack(text) {
  // Browsers from before 2025 read base64 as text only.
  const bytes = /** @type {any} */ (Uint8Array).fromBase64?.(text) ?? Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const module = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(module, { headers: { "Content-Type": "application/wasm" } });
}
