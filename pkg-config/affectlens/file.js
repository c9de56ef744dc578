// @ts-check
// A whole video file, as the command line analyses it: every frame, centred windows, final probabilities.

import { AffectLensError, badArgument, tagOf, textOf } from "./errors.js";
import { A_FUNCTION, A_SIGNAL, ANYTHING, readFields } from "./fields.js";
import { BEGIN_FILE } from "./file-stream.js";

/**
 * @typedef {import("./file.js").FileOptions} FileOptions
 * @typedef {import("./file.js").FileReport} FileReport
 * @typedef {import("./file-frames.js").FileFrames} FileFrames
 * @typedef {import("./file-stream.js").FileStream} FileStream
 */

/** @type {Record<keyof FileOptions, import("./fields.js").Field>} */
const OPTIONS = { onProgress: A_FUNCTION, onReport: A_FUNCTION, settings: ANYTHING, signal: A_SIGNAL };
/** Frames at the worker's: one that it looks at, and the next ones, so that it never waits for the page. */
const MOST_UNDER_WAY = 3;

/**
 * @param {Blob | string | URL} source
 * @param {import("./index.js").Lens} lens
 * @param {FileOptions} [options]
 * @returns {Promise<FileReport[]>}
 */
export async function analyzeFile(source, lens, options = {}) {
  const plan = readFields(options, OPTIONS);
  const begin = /** @type {any} */ (lens)?.[BEGIN_FILE];
  if (typeof begin !== "function") throw badArgument("lens", lens, "what `load` resolves to");
  const { from, name } = readSource(source);
  plan.signal?.throwIfAborted();
  if (typeof VideoDecoder !== "function") {
    throw new AffectLensError("video-unsupported", "this browser has no WebCodecs (`VideoDecoder`), or the page is neither on https nor on localhost: play the video, and `watch` it");
  }
  const { FileFrames } = await loadFrames();
  const analysis = new Analysis(new FileFrames(from, name), plan);
  return analysis.run(() => begin.call(lens, plan.settings ?? {}));
}

class Analysis {
  #frames;
  #plan;
  /** Rejects with the signal's reason. @type {Promise<never>} */
  #aborted;
  #stopListening = () => {};
  /** Frames at the worker's. @type {{ timeMs: number, reports: Promise<FileReport[]> }[]} */
  #underWay = [];
  /** @type {FileReport[]} */
  #reports = [];
  #count = 0;
  #startMs = performance.now();

  /**
   * @param {FileFrames} frames
   * @param {FileOptions} plan
   */
  constructor(frames, plan) {
    this.#frames = frames;
    this.#plan = plan;
    const { signal } = plan;
    this.#aborted = new Promise((_, reject) => {
      const abort = () => reject(signal?.reason);
      signal?.addEventListener("abort", abort, { once: true });
      this.#stopListening = () => signal?.removeEventListener("abort", abort);
      if (signal?.aborted) abort();
    });
    this.#aborted.catch(() => {});
  }

  /** @param {() => Promise<FileStream>} begin */
  async run(begin) {
    /** @type {FileStream | undefined} */
    let stream;
    try {
      await this.#unlessAborted(this.#frames.open());
      // It may begin after the end: then it is ended at once.
      const beginning = begin();
      stream = await this.#unlessAborted(beginning, ({ end }) => end());
      await this.#follow(stream);
      return this.#reports;
    } finally {
      this.#stopListening();
      this.#frames.close();
      stream?.end();
    }
  }

  /** @param {FileStream} stream */
  async #follow(stream) {
    let broken;
    for (;;) {
      let frame;
      try {
        frame = await this.#unlessAborted(this.#frames.next(), (late) => late?.image.close());
      } catch (error) {
        // What came before it is whole.
        if (this.#plan.signal?.aborted) throw error;
        broken = /** @type {AffectLensError} */ (error);
      }
      if (!frame) break;
      const { timeMs } = frame;
      const reports = stream.push(frame);
      // Others may be waited for when it fails.
      reports.catch(() => {});
      this.#underWay.push({ timeMs, reports });
      if (this.#underWay.length >= MOST_UNDER_WAY) await this.#take();
    }
    while (this.#underWay.length > 0) await this.#take();
    this.#tell(await this.#unlessAborted(stream.finish()));
    if (broken) throw new AffectLensError(broken.code, `${broken.message} (${this.#count} frames were read)`, { cause: broken });
    if (this.#count === 0) throw new AffectLensError("video-malformed", "the video has no frames");
  }

  /** Waits for the oldest frame that is under way. */
  async #take() {
    const { timeMs, reports } = /** @type {{ timeMs: number, reports: Promise<FileReport[]> }} */ (this.#underWay.shift());
    this.#tell(await this.#unlessAborted(reports));
    this.#count += 1;
    const { durationMs } = this.#frames;
    const share = durationMs === null ? null : Math.min(1, timeMs / durationMs);
    const spentMs = performance.now() - this.#startMs;
    const leftMs = share ? (spentMs * (1 - share)) / share : null;
    this.#plan.onProgress?.({ frames: this.#count, timeMs, durationMs, share, leftMs });
  }

  /** @param {FileReport[]} reports */
  #tell(reports) {
    const { onReport } = this.#plan;
    if (onReport) reports.forEach((report) => onReport(report));
    else this.#reports.push(...reports);
  }

  /**
   * @template Value
   * @param {Promise<Value>} work
   * @param {(value: Value) => void} [undo] what becomes of a value that comes too late
   * @returns {Promise<Value>}
   */
  async #unlessAborted(work, undo) {
    try {
      return await Promise.race([work, this.#aborted]);
    } catch (error) {
      work.then((value) => undo?.(value)).catch(() => {});
      throw error;
    }
  }
}

/** The decoder and what it stands on are loaded by whoever analyses a file, and by nobody else. */
async function loadFrames() {
  try {
    return await import("./file-frames.js");
  } catch (cause) {
    const hint = "install the package `mediabunny`, which reads video files";
    throw new AffectLensError("module-failed", `the part that reads video files does not load: ${hint}: ${textOf(cause)}`, { cause });
  }
}

/**
 * @param {unknown} source
 * @returns {{ from: Blob | string, name: string }}
 */
function readSource(source) {
  const tag = tagOf(source);
  if (tag === "File") return { from: /** @type {File} */ (source), name: `the file \`${/** @type {File} */ (source).name}\`` };
  if (tag === "Blob") return { from: /** @type {Blob} */ (source), name: "the Blob" };
  if (typeof source !== "string" && tag !== "URL") throw badArgument("source", source, "a File, a Blob, a string or a URL");
  try {
    const { href } = new URL(String(source), globalThis.document?.baseURI ?? globalThis.location?.href);
    return { from: href, name: `\`${href}\`` };
  } catch {
    throw badArgument("source", String(source), "an address that this page can resolve");
  }
}
