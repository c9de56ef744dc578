// @ts-check
// Follows a video or a stream with a lens: one frame in flight, those that come meanwhile dropped, the last one never.

import { DISPOSE } from "./disposal.js";
import { AffectLensError, badArgument, tagOf } from "./errors.js";
import { Failures } from "./failures.js";
import { A_FUNCTION, A_SIGNAL, readFields } from "./fields.js";
import { VideoFrames } from "./video-frames.js";

/**
 * @typedef {import("./watch.js").WatchOptions} WatchOptions
 * @typedef {import("./watch.js").WatchEnd} WatchEnd
 * @typedef {{ nowMs: number, mediaMs: number }} Moment of a frame: on the page's clock, and in the video
 */

/** @type {Record<keyof WatchOptions, import("./fields.js").Field>} */
const OPTIONS = { onReport: A_FUNCTION, onDrop: A_FUNCTION, onError: A_FUNCTION, clock: A_FUNCTION, signal: A_SIGNAL };
const ACCEPTED = "an HTMLVideoElement or a MediaStream";
/** A frame that has not come by then, after a video was moved, does not come by itself: it may be the one from before. */
const SETTLED_MS = 250;
/** While a video is being moved, a frame further away than this from where it goes is one of the place before. */
const NEAR_MS = 100;

/**
 * @param {Pick<import("./index.js").Lens, "analyze">} lens
 * @param {HTMLVideoElement | MediaStream} source
 * @param {WatchOptions} [options]
 */
export function watch(lens, source, options = {}) {
  const plan = readFields(options, OPTIONS);
  if (typeof lens?.analyze !== "function") throw badArgument("lens", lens, "what `load` resolves to");
  const kind = tagOf(source);
  if (kind !== "HTMLVideoElement" && kind !== "MediaStream") throw badArgument("source", source, ACCEPTED);
  return new Watching(lens, /** @type {any} */ (source), kind === "MediaStream", plan);
}

class Watching {
  #lens;
  #video;
  #plan;
  #frames;
  #failures = new Failures();
  #isBusy = false;
  /** The newest frame, if it came while another one was in flight. @type {Moment | undefined} */
  #unread;
  /** The newest frame since the video was moved. @type {Moment | undefined} */
  #shown;
  /** Counts jumps: what was asked for before one is not told after it. */
  #jumps = 0;
  /** When the first frame of a stream came: a stream has no time of its own. @type {number | undefined} */
  #startMs;
  #isOver = false;
  /** What is undone at the end. @type {(() => void)[]} */
  #cleanups = [];
  /** @type {(end: WatchEnd) => void} */
  #resolve = () => {};
  /** @type {(error: unknown) => void} */
  #reject = () => {};
  /** @type {Promise<WatchEnd>} */
  ended = new Promise((resolve, reject) => {
    this.#resolve = resolve;
    this.#reject = reject;
  });

  /**
   * @param {Pick<import("./index.js").Lens, "analyze">} lens
   * @param {any} source
   * @param {boolean} isStream
   * @param {WatchOptions} plan
   */
  constructor(lens, source, isStream, plan) {
    this.#lens = lens;
    this.#plan = plan;
    this.#video = isStream ? this.#play(source) : /** @type {HTMLVideoElement} */ (source);
    this.#frames = new VideoFrames(this.#video, (frame) => this.#meet(frame));
    // Whoever is told of every failure need not be told of the last one twice.
    if (plan.onError) this.ended.catch(() => {});
    this.#follow();
    if (plan.signal?.aborted) this.stop();
    else if (!this.paused) this.#frames.start();
  }

  get paused() {
    return !this.#isOver && Boolean(globalThis.document?.hidden);
  }

  stop() {
    this.#end();
    this.#resolve("stopped");
  }

  [DISPOSE]() {
    this.stop();
  }

  lookAgain() {
    if (this.#isOver || this.paused || !this.#standsStill) return;
    this.#unread ??= this.#shown ?? { nowMs: performance.now(), mediaMs: this.#video.currentTime * 1000 };
    this.#readOn();
  }

  /**
   * Shows a stream in an element that nobody sees.
   *
   * @param {MediaStream} stream
   */
  #play(stream) {
    if (!stream.getVideoTracks().some(({ readyState }) => readyState === "live")) {
      throw new AffectLensError("picture-empty", "the stream has no live video track: open it with `video: true`, and do not stop it");
    }
    const video = document.createElement("video");
    Object.assign(video, { muted: true, playsInline: true, srcObject: stream });
    this.#cleanups.push(() => {
      video.pause();
      video.srcObject = null;
    });
    // It is interrupted where the watch ends before it begins.
    video.play().catch((cause) => this.#fail(new AffectLensError("picture-empty", `the stream cannot be played: ${cause.message}`, { cause })));
    return video;
  }

  /** Follows what happens to the video, the page and the signal. */
  #follow() {
    const followed = new AbortController();
    this.#cleanups.push(() => followed.abort());
    /** @type {(target: EventTarget | undefined, event: string, act: () => void) => void} */
    const on = (target, event, act) => target?.addEventListener(event, act, { signal: followed.signal });
    on(this.#plan.signal, "abort", () => this.stop());
    on(globalThis.document, "visibilitychange", () => this.#followVisibility());
    on(this.#video, "seeking", () => this.#jump());
    on(this.#video, "seeked", () => this.#settle());
    for (const event of ["pause", "ended"]) on(this.#video, event, () => this.#readOn());
    const followTracks = () => {
      for (const track of streamOf(this.#video)?.getVideoTracks() ?? []) on(track, "ended", () => this.#lose(track));
    };
    // Another stream may be put into the element.
    on(this.#video, "loadeddata", followTracks);
    followTracks();
  }

  #followVisibility() {
    if (!this.paused) return this.#frames.start();
    this.#frames.stop();
    this.#unread = undefined;
  }

  #jump() {
    this.#jumps += 1;
    this.#unread = undefined;
    this.#shown = undefined;
  }

  /** Sees to it that the frame is analysed which a video was moved to. */
  #settle() {
    const mine = this.#jumps;
    setTimeout(() => {
      if (mine === this.#jumps && !this.#shown) this.lookAgain();
    }, SETTLED_MS);
  }

  /** @param {MediaStreamTrack} track that gives no more pictures, though nobody here has stopped it */
  #lose(track) {
    if (this.#isOver || !streamOf(this.#video)?.getTracks().includes(track)) return;
    this.#end();
    this.#resolve("lost");
  }

  /** @param {import("./video-frames.js").ShownFrame} frame */
  #meet({ nowMs, mediaMs, missed }) {
    if (this.#video.seeking && Math.abs(mediaMs - this.#video.currentTime * 1000) > NEAR_MS) return;
    const dropped = missed + Number(this.#unread !== undefined);
    if (dropped > 0) this.#plan.onDrop?.(dropped);
    this.#shown = this.#unread = { nowMs, mediaMs };
    this.#readOn();
  }

  get #standsStill() {
    return this.#video.paused || this.#video.ended;
  }

  /** Hands on the frame that is unread, if none is in flight. */
  async #readOn() {
    if (this.#isOver || this.#isBusy || !this.#unread) return;
    const moment = this.#unread;
    this.#unread = undefined;
    this.#isBusy = true;
    await this.#look(this.#timeOf(moment));
    this.#isBusy = false;
    // While it plays the next one will be newer.
    if (this.#standsStill) this.#readOn();
  }

  /** @param {Moment} moment */
  #timeOf({ nowMs, mediaMs }) {
    if (!streamOf(this.#video)) return mediaMs;
    if (this.#plan.clock) return this.#plan.clock(nowMs);
    this.#startMs ??= nowMs;
    return nowMs - this.#startMs;
  }

  /** @param {number} timeMs */
  async #look(timeMs) {
    const mine = this.#jumps;
    const askedMs = performance.now();
    let report;
    try {
      report = await this.#lens.analyze(this.#video, { timeMs });
      this.#failures.forget();
    } catch (error) {
      return this.#meetFailure(error);
    }
    if (this.#isOver || mine !== this.#jumps) return;
    try {
      this.#plan.onReport?.(report, { latencyMs: performance.now() - askedMs });
    } catch (error) {
      // A mistake in the callback would come again with every frame.
      this.#fail(error);
    }
  }

  /** @param {unknown} error */
  #meetFailure(error) {
    if (this.#isOver) return;
    if (error instanceof AffectLensError && error.code === "disposed") return this.stop();
    this.#plan.onError?.(error);
    if (this.#failures.isLast(error)) this.#fail(error);
  }

  /** @param {unknown} error */
  #fail(error) {
    if (this.#isOver) return;
    this.#end();
    this.#reject(error);
  }

  #end() {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#unread = undefined;
    this.#frames?.stop();
    for (const undo of this.#cleanups.splice(0)) undo();
  }
}

/**
 * @param {HTMLVideoElement} video
 * @returns {MediaStream | undefined}
 */
function streamOf({ srcObject }) {
  return /** @type {MediaStream | null} */ (srcObject) ?? undefined;
}
