// @ts-check
// Violence in the whole picture: what its panel says, and what the timeline marks.

import { Bars } from "./bars.js";
import { percent, seconds } from "./format.js";

/**
 * @typedef {import("affectlens").ViolenceReport} ViolenceReport
 * @typedef {import("affectlens").ViolenceFacts} ViolenceFacts
 * @typedef {import("./log.js").KeptReport} KeptReport
 * @typedef {import("./log.js").Estimate} Estimate
 * @typedef {{ startMs: number, endMs: number }} Stretch
 * @typedef {{ facts: ViolenceFacts | null, threshold: number, isStill: boolean }} Circumstances
 * @typedef {{ says: string, lasts: string, warmUp?: number, row?: import("./bars.js").Row }} Said `warmUp` is the share
 *   of the first window that is full
 */

/** Frames further apart than this are not one stretch: between them nobody looked. */
export const GAP_MS = 2000;
/** So many stretches are told, the latest ones. */
const MOST_STRETCHES = 4;

/** The panel of violence. */
export class ViolencePanel {
  #panel;
  #bars = new Bars();

  /** @param {HTMLElement} panel */
  constructor(panel) {
    this.#panel = panel;
    this.#part("bar").append(this.#bars.root);
  }

  /**
   * @param {ViolenceReport | Estimate | undefined} violence
   * @param {Circumstances} circumstances
   */
  show(violence, circumstances) {
    const { says, lasts, warmUp, row } = describeViolence(violence, circumstances);
    this.#panel.style.setProperty("--threshold", String(circumstances.threshold));
    const progress = /** @type {HTMLProgressElement} */ (this.#part("warm-up"));
    progress.hidden = warmUp === undefined;
    progress.value = warmUp ?? 0;
    this.#bars.show(row ? [row] : []);
    this.#say("says", says);
    this.#say("lasts", lasts);
    this.#say("window", describeWindow(circumstances.facts));
  }

  /** @param {string} name */
  #part(name) {
    return /** @type {HTMLElement} */ (this.#panel.querySelector(`[data-part="${name}"]`));
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  #say(name, text) {
    const part = this.#part(name);
    if (part.textContent !== text) part.textContent = text;
  }
}

/**
 * What the panel says.
 *
 * @param {ViolenceReport | Estimate | undefined} violence
 * @param {Circumstances} circumstances
 * @returns {Said}
 */
export function describeViolence(violence, { facts, threshold, isStill }) {
  if (isStill) return { says: "A single picture shows no motion: this needs a video.", lasts: "" };
  if (!violence) return { says: "Nothing looked at yet.", lasts: "" };
  if (violence.probability === undefined) {
    const toGoMs = violence.warming_up_ms;
    const spanMs = Math.max(facts?.spanMs ?? 0, toGoMs, 1);
    return { says: `Warming up: ${seconds(toGoMs)} to go before there is a number.`, lasts: "", warmUp: 1 - toGoMs / spanMs };
  }
  const { probability } = violence;
  const isMarked = isViolent(probability, threshold);
  const says = isMarked
    ? `Called violent: at or above the threshold of ${percent(threshold)}.`
    : `Not called violent: below the threshold of ${percent(threshold)}.`;
  const lasts = "delay_ms" in violence ? `Later frames may still change it for ${seconds(violence.delay_ms)}.` : "";
  return { says, lasts, row: { key: "violence", name: "violence", share: probability, text: percent(probability), isMarked } };
}

/** @param {ViolenceFacts | null} facts */
function describeWindow(facts) {
  if (!facts) return "";
  const { length, framesPerSecond, spanMs } = facts;
  return framesPerSecond === null
    ? `Looks at ${length} analysed frames at a time.`
    : `Looks at ${length} frames at a time, ${Number(framesPerSecond.toFixed(1))} a second: the last ${seconds(spanMs)}.`;
}

/**
 * As the lens decides.
 *
 * @param {number} probability
 * @param {number} threshold
 */
export function isViolent(probability, threshold) {
  return probability >= threshold;
}

/**
 * Stretches at or above a threshold: from their first frame to the next one below, where there is one soon, else to
 * their last.
 *
 * @param {readonly KeptReport[]} reports in the order of time
 * @param {number} threshold
 * @returns {Stretch[]}
 */
export function stretchesAbove(reports, threshold) {
  /** @type {Stretch[]} */
  const stretches = [];
  /** @type {Stretch | undefined} the one that goes on */
  let open;
  for (const { time_ms, violence } of reports) {
    if (!violence) continue;
    if (open && time_ms - open.endMs > GAP_MS) open = undefined;
    if (open) open.endMs = time_ms;
    if (!isViolent(violence.probability, threshold)) open = undefined;
    else if (!open) stretches.push((open = { startMs: time_ms, endMs: time_ms }));
  }
  return stretches;
}

/**
 * The stretches in words, for those who do not see the marks.
 *
 * @param {readonly KeptReport[]} reports
 * @param {number} threshold
 */
export function describeStretches(reports, threshold) {
  if (!reports.some(({ violence }) => violence)) return "No estimate yet.";
  const stretches = stretchesAbove(reports, threshold);
  if (stretches.length === 0) return `Nowhere at or above ${percent(threshold)}.`;
  const told = stretches.slice(-MOST_STRETCHES).map(({ startMs, endMs }) => {
    const [start, end] = [startMs, endMs].map((timeMs) => (timeMs / 1000).toFixed(1));
    return start === end ? `${start} s` : `${start}–${end} s`;
  });
  const untold = stretches.length - told.length;
  return `At or above ${percent(threshold)}, hatched: ${told.join(", ")}${untold > 0 ? `, and ${untold} before` : ""}.`;
}

/**
 * The time up to which nothing changes any more.
 *
 * @param {readonly KeptReport[]} reports
 * @returns {number | undefined}
 */
export function finalUpTo(reports) {
  return reports.findLast(({ violence }) => violence?.final)?.time_ms;
}
