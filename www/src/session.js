// @ts-check
// The session: frames of the source in, reports out.

import { AffectLensError } from "affectlens";
import { watch } from "affectlens/watch";

import { ReportLog } from "./log.js";
import { messageOf } from "./notices.js";
import { Stats } from "./stats.js";

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
  /** Follows the video, while there is one and a model. @type {import("affectlens/watch").Watching | undefined} */
  #watching;
  /** What it follows it with. @type {Lens | undefined} */
  #watchedWith;
  /** When the first frame of a camera came, which has no time of its own; another model goes on counting. @type {number | undefined} */
  #startMs;
  #lastTimeMs = -Infinity;
  #hasFailed = false;
  /** @type {"none" | "once" | "again"} */
  #stillAnalysis = "none";
  /** Whether the reports are those of the whole clip, so that none is made while it plays. */
  #isOfFile = false;

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
  }

  get isWatching() {
    return this.#watching !== undefined && !this.#watching.paused;
  }

  /** @param {string} sourceName a source that has just been opened */
  open(sourceName) {
    this.stats = new Stats();
    this.log = new ReportLog();
    this.sourceName = sourceName;
    this.#isOfFile = false;
    this.#listeners.onChange();
    this.begin();
  }

  /** Follows the source, once there is both a source and a model. */
  begin() {
    const { showing, video } = this.#sources;
    const { lens } = this.#model;
    if (showing === "nothing") return;
    if (showing === "still") return void this.#analyseStill();
    if (document.hidden) return;
    // A clip waits for the model; a camera shows that it is on.
    if (showing === "clip" && !lens) return;
    if (lens) this.#follow(lens, video);
    void video.play();
  }

  /** Takes the reports of the whole clip from here on, in place of those that are made while it plays. */
  beginFile() {
    this.#watching?.stop();
    this.#watching = undefined;
    this.#isOfFile = true;
    this.log = new ReportLog();
    this.latest = undefined;
    this.#listeners.onChange();
  }

  /** The whole clip is not analysed after all: it is followed while it plays. */
  leaveFile() {
    if (!this.#isOfFile) return;
    this.#isOfFile = false;
    this.log = new ReportLog();
    this.forget();
    const { lens } = this.#model;
    if (lens && this.#sources.showing === "clip") this.#follow(lens, this.#sources.video);
    this.#listeners.onChange();
  }

  /** Shows what is known of the moment at which the clip stands. */
  showKnown() {
    const known = this.log.nearest(this.#sources.video.currentTime * 1000, NEAR_MS);
    if (known && known !== this.latest) this.#show(known);
  }

  /** The source is gone; its reports stay to be saved. */
  halt() {
    this.#watching?.stop();
    this.#watching = undefined;
    this.#startMs = undefined;
    this.forget();
    this.#listeners.onChange();
  }

  /** A clip pauses while the page is hidden, and goes on when it is shown again; nothing is analysed meanwhile. */
  followVisibility() {
    const { showing, video } = this.#sources;
    if (showing === "nothing" || showing === "still") return;
    if (!document.hidden) return this.begin();
    if (showing === "clip") video.pause();
  }

  /** Begins the stream anew: nothing from before a jump in time is smoothed into what follows. */
  forget() {
    this.#lastTimeMs = -Infinity;
    this.latest = undefined;
    this.#model.lens?.reset().catch(() => {});
  }

  /** Follows a clip that was moved to another time. */
  jump() {
    const { showing, video } = this.#sources;
    if (showing !== "clip") return;
    this.forget();
    this.showKnown();
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

  /** Analyses the frame of a clip that stands still once more, with the model of now: no new frame comes by itself. */
  analysePausedFrame() {
    const { showing, video } = this.#sources;
    const { lens } = this.#model;
    if (!lens || showing !== "clip" || !(video.paused || video.ended)) return;
    this.forget();
    this.#follow(lens, video);
    this.#watching?.lookAgain();
  }

  /**
   * @param {Lens} lens
   * @param {HTMLVideoElement} video
   */
  #follow(lens, video) {
    if (this.#isOfFile || (this.#watching && this.#watchedWith === lens)) return;
    this.#watching?.stop();
    const watching = watch(lens, video, {
      clock: (nowMs) => nowMs - (this.#startMs ??= nowMs),
      onReport: (report, { latencyMs }) => this.#take(lens, report, latencyMs),
      onDrop: (count) => (this.stats.dropped += count),
      onError: (error) => this.#meetFailure(error),
    });
    this.#watching = watching;
    this.#watchedWith = lens;
    void this.#meetEnd(watching);
  }

  /** @param {import("affectlens/watch").Watching} watching */
  async #meetEnd(watching) {
    try {
      await watching.ended;
    } catch (error) {
      // It was told with the frame that it met.
      if (!(error instanceof AffectLensError)) throw error;
    } finally {
      if (this.#watching === watching) this.#watching = undefined;
    }
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
        await this.#analyse(lens, picture);
      }
      // Another call may have changed it meanwhile.
    } while (/** @type {string} */ (this.#stillAnalysis) === "again");
    this.#stillAnalysis = "none";
  }

  /**
   * @param {Lens} lens
   * @param {ImageBitmap} picture
   */
  async #analyse(lens, picture) {
    const askedMs = performance.now();
    try {
      const report = await lens.analyze(picture, { timeMs: 0, single: true });
      if (picture === this.#sources.picture) this.#take(lens, report, performance.now() - askedMs);
    } catch (error) {
      const isOurs = error instanceof AffectLensError && error.code === "disposed";
      if (picture === this.#sources.picture && !isOurs) this.#meetFailure(error);
    }
  }

  /**
   * @param {Lens} lens
   * @param {import("affectlens").FrameReport} report
   * @param {number} latencyMs
   */
  #take(lens, report, latencyMs) {
    const timeMs = report.time_ms;
    this.stats.add(latencyMs, performance.now(), report.faces.length > 0);
    this.log.add(report, this.#lastTimeMs < timeMs ? Math.max(this.#lastTimeMs, timeMs - REPLACED_MS) : timeMs);
    this.#lastTimeMs = timeMs;
    this.#recover(lens);
    this.#show(report);
  }

  /** @param {unknown} error */
  #meetFailure(error) {
    this.stats.failed += 1;
    this.#hasFailed = true;
    this.#notices.report("look", `A frame could not be analysed: ${messageOf(error)}`);
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
