// @ts-check
// A clip as a whole: every frame once, with the windows of the command line, faster or slower than it plays.

import { AffectLensError } from "affectlens";
import { analyzeFile } from "affectlens/file";

import { byId, partOf, setText } from "./elements.js";
import { clock, percent } from "./format.js";
import { messageOf } from "./notices.js";

/** @typedef {import("affectlens/file").FileProgress} FileProgress */

const OFFER = "every frame of a clip, not only those that there is time for while it plays";
/** After one of these it can still be analysed while it plays. */
const PLAYS_ALL_THE_SAME = "It is analysed while it plays, as before.";

/** The button under a clip, and what it has begun. */
export class WholeFile {
  #panel = byId("whole-file");
  #button = partOf(this.#panel, "start", HTMLButtonElement);
  #progress = partOf(this.#panel, "progress", HTMLProgressElement);
  #says = partOf(this.#panel, "says");
  #model;
  #sources;
  #session;
  /** While a file is analysed. @type {AbortController | undefined} */
  #running;
  /** The file that was analysed. @type {Blob | undefined} */
  #analysed;
  #text = OFFER;

  /**
   * @param {import("./model.js").Model} model
   * @param {import("./sources.js").Sources} sources
   * @param {import("./session.js").Session} session
   */
  constructor(model, sources, session) {
    this.#model = model;
    this.#sources = sources;
    this.#session = session;
    this.#button.addEventListener("click", () => (this.#running ? this.#cancel() : void this.#start()));
    const { video } = sources;
    // The report of each moment is known: it is shown as the clip plays.
    const follow = () => {
      if (this.#analysed) session.showKnown();
      video.requestVideoFrameCallback?.(follow);
    };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(follow);
    else video.addEventListener("timeupdate", follow);
  }

  /** Shows whether there is a file to analyse. */
  show() {
    const canStart = this.#model.lens !== undefined && this.#sources.file !== undefined;
    this.#button.disabled = !canStart && !this.#running;
    setText(this.#button, this.#running ? "Stop the analysis" : "Analyse the whole file");
    this.#progress.hidden = !this.#running;
    setText(this.#says, this.#text);
  }

  /** The clip is gone. */
  stop() {
    this.#running?.abort();
    this.#running = undefined;
    this.#analysed = undefined;
    this.#text = OFFER;
  }

  /** The visitor has seen enough. */
  #cancel() {
    this.stop();
    this.#session.leaveFile();
  }

  async #start() {
    const { lens } = this.#model;
    const { file, video } = this.#sources;
    if (!lens || !file) return;
    const running = new AbortController();
    this.#running = running;
    video.pause();
    this.#session.beginFile();
    const { log } = this.#session;
    const { gla, confidence, blend, violenceThreshold } = lens.settings;
    const startMs = performance.now();
    this.#tell("reading the file", undefined);
    try {
      await analyzeFile(file, lens, {
        signal: running.signal,
        settings: { gla, confidence, blend, violenceThreshold },
        onReport: (report) => log.add(asLive(report)),
        onProgress: (progress) => this.#tell(describe(progress, performance.now() - startMs), progress.share ?? undefined),
      });
      if (running !== this.#running) return;
      this.#finish(file, `${this.#text.split(",")[0]}: the timeline, the file to save and the clip as it plays show it.`);
    } catch (error) {
      if (running === this.#running) this.#meet(error, file, log.reports.length);
    }
  }

  /**
   * @param {unknown} error
   * @param {Blob} file
   * @param {number} count reports so far
   */
  #meet(error, file, count) {
    const isOurs = error instanceof AffectLensError && error.code === "disposed";
    const reason = isOurs ? "another model was chosen" : messageOf(error);
    // What lies before a break in the file is known.
    if (count > 0 && !isOurs) return this.#finish(file, `Not all of it: ${reason}.`);
    this.#running = undefined;
    this.#text = `Not possible: ${reason}. ${PLAYS_ALL_THE_SAME}`;
    this.#session.leaveFile();
    this.show();
  }

  /**
   * @param {Blob} file
   * @param {string} text
   */
  #finish(file, text) {
    this.#running = undefined;
    this.#analysed = file;
    this.#text = text;
    this.#session.showKnown();
    this.show();
  }

  /**
   * @param {string} text
   * @param {number | undefined} share
   */
  #tell(text, share) {
    this.#text = text;
    if (share === undefined) this.#progress.removeAttribute("value");
    else this.#progress.value = share;
    this.show();
  }
}

/**
 * @param {FileProgress} progress
 * @param {number} spentMs
 */
function describe({ frames, timeMs, share, leftMs }, spentMs) {
  const parts = [`${frames} frames`];
  if (share !== null) parts.push(percent(share));
  if (leftMs !== null) parts.push(`${clock(leftMs / 1000)} left`);
  if (timeMs > 0) parts.push(`${(timeMs / spentMs).toFixed(1)} times as fast as it plays`);
  return parts.join(", ");
}

/**
 * A report as a live stream gives it: the log takes estimates of violence from updates.
 *
 * @param {import("affectlens/file").FileReport} report
 * @returns {import("affectlens").FrameReport}
 */
function asLive({ violence, ...report }) {
  if (!violence) return report;
  const { frame, time_ms } = report;
  const update = { frame, time_ms, probability: violence.probability, final: true };
  return { ...report, violence: { ...violence, delay_ms: 0, updates: [update] } };
}
