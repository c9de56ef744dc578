// @ts-check
// The session: frames of the source in, reports out.

import { ReportLog } from "./log.js";
import { messageOf } from "./notices.js";
import { Stats } from "./stats.js";
import { FrameWatch } from "./watch.js";

/**
 * @typedef {import("affectlens").Lens} Lens
 * @typedef {import("affectlens").Settings} Settings
 * @typedef {import("affectlens").FrameReport | import("./log.js").KeptReport} AnyReport
 * @typedef {{
 *   onReport: () => void,
 *   onChange: () => void,
 *   onRecovery: (lens: Lens) => void,
 * }} Listeners `onReport`: there is a new `latest`; `onChange`: all of the session is another; `onRecovery`: a frame was
 *   analysed after one that could not be
 */

/** A report this near in time is shown for the moment that a clip is paused at. */
const NEAR_MS = 60;
/** A frame that has not come by then, after a clip was moved, does not come by itself: it may be the one from before. */
const SETTLED_MS = 250;
/** A new report replaces older ones of the same stretch of a clip, at most this far back. */
const REPLACED_MS = 1000;

/** Follows the source with the model, and keeps the reports. */
export class Session {
  stats = new Stats();
  log = new ReportLog();
  /** The source of the reports in the log. */
  sourceName = "";
  /** @type {AnyReport | undefined} */
  latest;
  #model;
  #sources;
  #notices;
  #listeners;
  #watch;
  /** Counts sources and jumps: a report that was asked for before one is not shown after it. */
  #era = 0;
  /** The era of the newest picture that was analysed. */
  #analysedEra = -1;
  #lastTimeMs = -Infinity;
  #hasFailed = false;
  /** @type {"none" | "once" | "again"} */
  #stillAnalysis = "none";

  /**
   * @param {import("./model.js").Model} model
   * @param {import("./sources.js").Sources} sources
   * @param {import("./notices.js").Notices} notices
   * @param {Listeners} listeners
   */
  constructor(model, sources, notices, listeners) {
    this.#model = model;
    this.#sources = sources;
    this.#notices = notices;
    this.#listeners = listeners;
    this.#watch = new FrameWatch(sources.video, {
      onFrame: async (timeMs) => {
        if (model.lens) await this.#analyse(model.lens, sources.video, timeMs);
      },
      onDrop: (count) => {
        // Frames that pass while the model is still loading are not dropped: nothing analyses them yet.
        if (model.lens) this.stats.dropped += count;
      },
    });
  }

  get isWatching() {
    return this.#watch.isRunning;
  }

  /** @param {string} sourceName a source that has just been opened */
  open(sourceName) {
    this.stats = new Stats();
    this.log = new ReportLog();
    this.sourceName = sourceName;
    this.#listeners.onChange();
    this.begin();
  }

  /** Follows the source, once there is both a source and a model. */
  begin() {
    const { showing, video } = this.#sources;
    if (showing === "nothing") return;
    if (showing === "still") return void this.#analyseStill();
    if (document.hidden) return;
    // A clip waits for the model; a camera shows that it is on.
    if (showing === "clip" && !this.#model.lens) return;
    this.#watch.start();
    void video.play();
  }

  /** The source is gone; its reports stay to be saved. */
  halt() {
    this.#watch.stop();
    this.#watch.rewind();
    this.forget();
    this.#listeners.onChange();
  }

  /** Pauses while the page is hidden, and goes on when it is shown again. */
  followVisibility() {
    const { showing, video } = this.#sources;
    if (showing !== "camera" && showing !== "clip") return;
    if (!document.hidden) return this.begin();
    this.#watch.stop();
    if (showing === "clip") video.pause();
  }

  /** Begins the stream anew: nothing from before a jump in time is smoothed into what follows. */
  forget() {
    this.#era += 1;
    this.#lastTimeMs = -Infinity;
    this.latest = undefined;
    this.#model.lens?.reset().catch(() => {});
  }

  /** Follows a clip that was moved to another time. */
  jump() {
    const { showing, video } = this.#sources;
    if (showing !== "clip") return;
    this.forget();
    const known = this.log.nearest(video.currentTime * 1000, NEAR_MS);
    if (known) this.#show(known);
  }

  /** Sees to it that the frame is analysed which a clip was moved to. */
  settle() {
    const mine = this.#era;
    setTimeout(() => {
      if (mine === this.#era && mine !== this.#analysedEra && !this.latest) this.#watch.lookAgain();
    }, SETTLED_MS);
  }

  /** @param {Partial<Settings>} changed */
  async configure(changed) {
    try {
      await this.#model.lens?.configure(changed);
    } catch (error) {
      return this.#notices.report("model", messageOf(error));
    }
    if (this.#sources.showing === "still") await this.#analyseStill();
  }

  /**
   * Begins a neutral look, or undoes it.
   *
   * @param {import("affectlens").CalibrateOptions | null} options
   * @returns {Promise<boolean>} whether the model has done it
   */
  async calibrate(options) {
    const { lens } = this.#model;
    try {
      await lens?.calibrate(options);
      return lens !== undefined;
    } catch (error) {
      this.#notices.report("model", messageOf(error));
      return false;
    }
  }

  /** Analyses the frame of a clip that stands still once more: no new frame comes by itself. */
  async analysePausedFrame() {
    const { showing, video } = this.#sources;
    const { lens } = this.#model;
    if (!lens || showing !== "clip" || !(video.paused || video.ended)) return;
    const timeMs = this.latest?.time_ms ?? video.currentTime * 1000;
    this.forget();
    await this.#analyse(lens, video, timeMs);
  }

  /** Analyses the still picture; calls during an analysis, however many, make it run once more. */
  async #analyseStill() {
    if (this.#stillAnalysis !== "none") {
      this.#stillAnalysis = "again";
      return;
    }
    do {
      this.#stillAnalysis = "once";
      const { lens } = this.#model;
      const { picture } = this.#sources;
      if (lens && picture) {
        this.forget();
        this.log = new ReportLog();
        await this.#analyse(lens, picture, 0, { single: true });
      }
      // Another call may have changed it meanwhile.
    } while (/** @type {string} */ (this.#stillAnalysis) === "again");
    this.#stillAnalysis = "none";
  }

  /**
   * @param {Lens} lens
   * @param {HTMLVideoElement | ImageBitmap} picture
   * @param {number} timeMs
   * @param {import("affectlens").AnalyzeOptions} [options]
   */
  async #analyse(lens, picture, timeMs, options) {
    const mine = this.#era;
    this.#analysedEra = mine;
    const asked = performance.now();
    try {
      const report = await lens.analyze(picture, { timeMs, ...options });
      if (mine !== this.#era) return;
      const now = performance.now();
      this.stats.add(now - asked, now, report.faces.length > 0);
      this.log.add(report, this.#lastTimeMs < timeMs ? Math.max(this.#lastTimeMs, timeMs - REPLACED_MS) : timeMs);
      this.#lastTimeMs = timeMs;
      this.#recover(lens);
      this.#show(report);
    } catch (error) {
      const code = /** @type {{ code?: string }} */ (error).code;
      if (mine !== this.#era || code === "disposed") return;
      this.stats.failed += 1;
      this.#hasFailed = true;
      this.#notices.report("look", `A frame could not be analysed: ${messageOf(error)}`);
    }
  }

  /** @param {Lens} lens after a failure it may have started anew, on another device */
  #recover(lens) {
    if (!this.#hasFailed) return;
    this.#hasFailed = false;
    this.#notices.clear("look");
    this.#listeners.onRecovery(lens);
  }

  /** @param {AnyReport} report */
  #show(report) {
    this.latest = report;
    this.#listeners.onReport();
  }
}
