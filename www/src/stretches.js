// @ts-check
// What a threshold makes of the estimates of violence over time.

import { percent } from "./format.js";

/**
 * @typedef {import("./log.js").KeptReport} KeptReport
 * @typedef {{ startMs: number, endMs: number }} Stretch
 */

/** Frames further apart than this belong to no common stretch: nothing was analysed between them. */
const GAP_MS = 2000;
/** Stretches that are described, the latest ones. */
const MOST_STRETCHES = 4;

/**
 * Whether a frame is classified as violent, by the rule of the lens.
 *
 * @param {number} probability
 * @param {number} threshold
 */
export function isViolent(probability, threshold) {
  return probability >= threshold;
}

/**
 * Whether a report goes on with the one before it in time: no new stream began, nothing was left out between them, and they
 * were analysed in this order. Where a stretch of a clip was analysed again, the older reports after it have lower numbers.
 *
 * @param {KeptReport} before
 * @param {KeptReport} now
 */
export function goesOn(before, now) {
  return !now.restarted && now.frame > before.frame && now.time_ms - before.time_ms <= GAP_MS;
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
  /** The stretch that still goes on. @type {Stretch | undefined} */
  let open;
  for (const [index, report] of reports.entries()) {
    if (index > 0 && !goesOn(reports[index - 1], report)) open = undefined;
    const { time_ms, violence } = report;
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
  const described = stretches.slice(-MOST_STRETCHES).map(({ startMs, endMs }) => {
    const [start, end] = [startMs, endMs].map((timeMs) => (timeMs / 1000).toFixed(1));
    return start === end ? `${start} s` : `${start}–${end} s`;
  });
  const others = stretches.length - described.length;
  return `At or above ${percent(threshold)}, hatched: ${described.join(", ")}${others > 0 ? `, and ${others} before` : ""}.`;
}

/**
 * The time up to which estimates are final.
 *
 * @param {readonly KeptReport[]} reports
 * @returns {number | undefined}
 */
export function finalUpTo(reports) {
  return reports.findLast(({ violence }) => violence?.final)?.time_ms;
}
