// @ts-check
// Follows one source of sound until it ends, and hands what it hears to the model.

import { captureElement, captureStream } from "./capture.js";
import { DISPOSE } from "./disposal.js";
import { AffectLensError, badArgument, tagOf, textOf } from "./errors.js";
import { Failures } from "./failures.js";
import { A_BOOLEAN, A_FUNCTION, A_SIGNAL, readFields } from "./fields.js";
import { BlockTimes } from "./sound-clock.js";
import { SoundFile, decodeSound } from "./sound-file.js";
import { SoundQueue } from "./sound-queue.js";

/**
 * @typedef {import("./index.js").ListeningEnd} ListeningEnd
 * @typedef {{ own: boolean, clock?: () => number, onLevel?: (level: number) => void, signal?: AbortSignal }} ListenPlan
 * @typedef {{
 *   hear: (samples: Float32Array<ArrayBuffer>, timeMs: number) => Promise<boolean>,
 *   now: () => number,
 *   workletUrl: string | undefined,
 * }} Listener `hear`: whether it was heard; a model that rests after failures hears nothing; `now`: the time that a picture
 *   would have which comes now
 */

const ACCEPTED = ["MediaStream", "HTMLVideoElement", "HTMLAudioElement", "AudioBuffer", "Blob", "File"];
/** @type {Record<keyof ListenPlan, import("./fields.js").Field>} */
const OPTIONS = { own: A_BOOLEAN, clock: A_FUNCTION, onLevel: A_FUNCTION, signal: A_SIGNAL };
/** Value of `readyState` from which an element plays on. */
const HAVE_FUTURE_DATA = 3;

/**
 * @param {unknown} options
 * @returns {ListenPlan}
 */
export function readListenOptions(options = {}) {
  const { own = false, clock, onLevel, signal } = readFields(/** @type {Partial<ListenPlan>} */ (options), OPTIONS, "an object like { own: true }");
  return { own, clock, onLevel, signal };
}

/**
 * What kind of source it is, by tag and not by `instanceof`: elements of an iframe count too.
 *
 * @param {unknown} source
 */
export function kindOfSource(source) {
  const kind = tagOf(source);
  if (!ACCEPTED.includes(kind)) throw badArgument("source", source, `${ACCEPTED.slice(0, -1).join(", ")} or ${ACCEPTED.at(-1)}`);
  return kind;
}

/** What listens to one source. */
export class Listening {
  #plan;
  #listener;
  #queue;
  #times = new BlockTimes();
  /** Of a file. @type {SoundFile | undefined} */
  #file;
  #level = 0;
  #failures = new Failures();
  /** Pieces that were on their way together fail with one error. @type {unknown} */
  #lastFailure;
  #isOver = false;
  /** What is undone at the end. @type {(() => void)[]} */
  #cleanups = [];
  /** @type {(end: ListeningEnd) => void} */
  #resolve = () => {};
  /** @type {(error: unknown) => void} */
  #reject = () => {};
  /** @type {Promise<ListeningEnd>} */
  ended = new Promise((resolve, reject) => {
    this.#resolve = resolve;
    this.#reject = reject;
  });

  /**
   * @param {ListenPlan} plan
   * @param {Listener} listener
   */
  constructor(plan, listener) {
    this.#plan = plan;
    this.#listener = listener;
    this.#queue = new SoundQueue(
      async (samples, timeMs) => {
        if (await listener.hear(samples, timeMs)) this.#failures.forget();
      },
      (error) => this.#meetFailure(error),
    );
    // Whoever does not look at it is not told by the console either.
    this.ended.catch(() => {});
    const { signal } = plan;
    const abort = () => this.stop();
    signal?.addEventListener("abort", abort, { once: true });
    this.#cleanups.push(() => signal?.removeEventListener("abort", abort));
  }

  get level() {
    return this.#level;
  }

  get droppedMs() {
    return this.#queue.droppedMs;
  }

  stop() {
    this.#end();
    this.#resolve("stopped");
  }

  [DISPOSE]() {
    this.stop();
  }

  /**
   * Begins; whatever fails or overtakes it meanwhile leaves nothing open.
   *
   * @param {unknown} source
   */
  async start(source) {
    const { own, signal } = this.#plan;
    const kind = kindOfSource(source);
    const given = /** @type {any} */ (source);
    if (kind === "MediaStream" && own) this.#cleanups.push(() => given.getTracks().forEach((/** @type {MediaStreamTrack} */ track) => track.stop()));
    try {
      signal?.throwIfAborted();
      refuseWithoutAudio();
      switch (kind) {
        case "MediaStream":
          return await this.#follow(given, captureStream, () => this.#now());
        case "HTMLVideoElement":
        case "HTMLAudioElement":
          return await this.#followElement(given);
        case "AudioBuffer":
          return void (this.#file = new SoundFile(given));
        default:
          this.#file = new SoundFile(await decodeSound(given));
      }
    } catch (error) {
      const isOvertaken = this.#isOver;
      this.stop();
      signal?.throwIfAborted();
      // What was stopped while it opened did not fail.
      if (!isOvertaken) throw explain(error);
    }
  }

  /**
   * A picture is about to be analysed: what lies before it is heard first.
   *
   * @param {number} timeMs
   */
  reach(timeMs) {
    if (this.#isOver) return;
    this.#queue.flush();
    if (!this.#file) return;
    const pieces = [];
    for (const { samples, timeMs: startMs } of this.#file.until(timeMs)) {
      this.#tell(loudest(samples));
      // None is waited for: the worker answers in turn, and the picture comes after them.
      pieces.push(this.#listener.hear(samples, startMs).catch((error) => this.#meetFailure(error)));
    }
    if (this.#file.isOver) void this.#finish(pieces);
  }

  /** The model has forgotten what it heard. */
  restart() {
    this.#file?.restart();
  }

  /** @param {HTMLMediaElement} element */
  async #followElement(element) {
    const followed = new AbortController();
    this.#cleanups.push(() => followed.abort());
    for (const event of ["seeking", "pause", "ratechange", "emptied"]) {
      element.addEventListener(event, () => this.#times.restart(), { signal: followed.signal });
    }
    await this.#follow(element, captureElement, () => {
      // Faster or slower it is another sound.
      const isPlaying = !element.paused && !element.ended && !element.seeking && element.readyState >= HAVE_FUTURE_DATA;
      if (!isPlaying || element.playbackRate !== 1) return NaN;
      return this.#plan.clock ? this.#now() : element.currentTime * 1000;
    });
  }

  /**
   * @template {MediaStream | HTMLMediaElement} Source
   * @param {Source} source
   * @param {(source: Source, workletUrl: string | undefined, onBlock: import("./capture.js").OnBlock, onLost: () => void)
   *   => Promise<import("./capture.js").Capture>} capture
   * @param {() => number} now the time on the clock of the pictures; no number while the source stands still
   */
  async #follow(source, capture, now) {
    /** @type {import("./capture.js").OnBlock} */
    const onBlock = (samples, ageMs) => {
      if (this.#isOver) return;
      const clockMs = now() - ageMs;
      const isHeard = Number.isFinite(clockMs);
      this.#tell(isHeard ? loudest(samples) : 0);
      if (!isHeard) return this.#times.restart();
      this.#queue.push({ samples, timeMs: this.#times.place(samples.length, clockMs) });
    };
    const onLost = () => {
      this.#end();
      this.#resolve("lost");
    };
    const captured = await capture(source, this.#listener.workletUrl, onBlock, onLost);
    // Stopped while the browser opened it.
    if (this.#isOver) return captured.stop();
    this.#cleanups.push(captured.stop);
  }

  /** @param {Promise<unknown>[]} pieces the last ones of a file, which are on their way */
  async #finish(pieces) {
    await Promise.allSettled(pieces);
    // Unless one of them failed.
    if (this.#isOver) return;
    this.#end();
    this.#resolve("finished");
  }

  #now() {
    return this.#plan.clock ? this.#plan.clock() : this.#listener.now();
  }

  /** @param {number} level */
  #tell(level) {
    if (this.#isOver) return;
    this.#level = level;
    this.#plan.onLevel?.(level);
  }

  /** @param {unknown} error */
  #meetFailure(error) {
    if (error === this.#lastFailure) return;
    this.#lastFailure = error;
    if (this.#failures.isLast(error)) this.#fail(error);
  }

  /** @param {unknown} error */
  #fail(error) {
    if (this.#isOver) return;
    this.#end();
    if (error instanceof AffectLensError && error.code === "disposed") this.#resolve("stopped");
    else this.#reject(error);
  }

  #end() {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#level = 0;
    this.#queue.close();
    for (const undo of this.#cleanups.splice(0)) undo();
  }
}

/** @param {unknown} error */
function explain(error) {
  if (error instanceof AffectLensError) return error;
  return new AffectLensError("sound-empty", `the sound cannot be taken: ${textOf(error)}`, { cause: error });
}

function refuseWithoutAudio() {
  if (typeof AudioContext === "function" && typeof OfflineAudioContext === "function") return;
  throw new AffectLensError("unsupported", "this browser has no Web Audio (AudioContext), which listening needs");
}

/** @param {Float32Array} samples */
function loudest(samples) {
  let most = 0;
  for (const sample of samples) most = Math.max(most, Math.abs(sample));
  return most;
}
