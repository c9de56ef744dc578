// @ts-check
// The panel of violence, which concerns the whole picture.

import { Bars } from "./bars.js";
import { partOf, setText } from "./elements.js";
import { percent, seconds } from "./format.js";
import { isViolent } from "./stretches.js";

/**
 * @typedef {import("affectlens").ViolenceReport} ViolenceReport
 * @typedef {import("affectlens").ViolenceFacts} ViolenceFacts
 * @typedef {import("affectlens").ViolenceWindow} ViolenceWindow
 * @typedef {import("./log.js").Estimate} Estimate
 * @typedef {{ facts: ViolenceFacts | null, threshold: number, isStill: boolean }} Circumstances
 * @typedef {{ summary: string, delay: string, window: string, warmUp?: number, row?: import("./bars.js").Row }} Description
 *   `warmUp` is the share of the first window that is full
 */

/** The panel of violence. */
export class ViolencePanel {
  #panel;
  #summary;
  #delay;
  #window;
  #warmUp;
  #bars = new Bars();

  /** @param {HTMLElement} panel */
  constructor(panel) {
    this.#panel = panel;
    this.#summary = partOf(panel, "says");
    this.#delay = partOf(panel, "lasts");
    this.#window = partOf(panel, "window");
    this.#warmUp = partOf(panel, "warm-up", HTMLProgressElement);
    partOf(panel, "bar").append(this.#bars.root);
  }

  /**
   * @param {ViolenceReport | Estimate | undefined} violence
   * @param {Circumstances} circumstances
   */
  show(violence, circumstances) {
    const { summary, delay, window, warmUp, row } = describeViolence(violence, circumstances);
    this.#panel.style.setProperty("--threshold", String(circumstances.threshold));
    this.#warmUp.hidden = warmUp === undefined;
    this.#warmUp.value = warmUp ?? 0;
    this.#bars.show(row ? [row] : []);
    setText(this.#summary, summary);
    setText(this.#delay, delay);
    setText(this.#window, window);
  }
}

/**
 * The panel's texts and its bar.
 *
 * @param {ViolenceReport | Estimate | undefined} violence
 * @param {Circumstances} circumstances
 * @returns {Description}
 */
export function describeViolence(violence, { facts, threshold, isStill }) {
  const slow = violence && "window" in violence && violence.window?.too_slow ? violence.window : undefined;
  const window = describeWindow(facts, slow);
  if (isStill) return { summary: "A single picture shows no motion: this needs a video.", delay: "", window };
  if (!violence) return { summary: "Nothing analysed yet.", delay: "", window };
  if (violence.probability === undefined) {
    const toGoMs = violence.warming_up_ms;
    const spanMs = Math.max(facts?.spanMs ?? 0, toGoMs, 1);
    const summary = `Warming up: ${seconds(toGoMs)} until the first estimate.`;
    return { summary: withWarning(summary, facts, slow), delay: "", window, warmUp: 1 - toGoMs / spanMs };
  }
  const { probability } = violence;
  const isMarked = isViolent(probability, threshold);
  const summary = isMarked
    ? `Classified as violent: at or above the threshold of ${percent(threshold)}.`
    : `Not classified as violent: below the threshold of ${percent(threshold)}.`;
  const delay = "delay_ms" in violence ? `Later frames may still change it for ${seconds(violence.delay_ms)}.` : "";
  const row = { key: "violence", name: "violence", share: probability, text: percent(probability), isMarked };
  return { summary: withWarning(summary, facts, slow), delay, window, row };
}

/**
 * @param {string} summary
 * @param {ViolenceFacts | null} facts
 * @param {ViolenceWindow | undefined} slow
 */
function withWarning(summary, facts, slow) {
  if (!slow) return summary;
  const wanted = facts?.framesPerSecond ? rate(facts.framesPerSecond) : "more";
  return `${summary} Unreliable: the network needs ${wanted} frames per second, ${rate(slow.frames_per_second)} are analysed.`;
}

/**
 * @param {ViolenceFacts | null} facts
 * @param {ViolenceWindow | undefined} slow the window as it really is, if its frames come too slowly
 */
function describeWindow(facts, slow) {
  if (!facts) return "";
  const { length, framesPerSecond, spanMs } = facts;
  if (slow) return `Each estimate is made from ${length} frames, now ${rate(slow.frames_per_second)} per second: the last ${seconds(slow.span_ms)}.`;
  return framesPerSecond === null
    ? `Each estimate is made from ${length} analysed frames.`
    : `Each estimate is made from ${length} frames, ${rate(framesPerSecond)} per second: the last ${seconds(spanMs)}.`;
}

/** @param {number} framesPerSecond */
function rate(framesPerSecond) {
  return String(Number(framesPerSecond.toFixed(1)));
}
