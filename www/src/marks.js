// @ts-check
// Marks on a chart: the threshold, the stretches that reach it, a position in time.

import { colour } from "./palette.js";

/**
 * @typedef {import("uplot")} UPlot
 * @typedef {import("./views.js").Marks} Marks
 */

/** Distance of the hatching's lines, CSS pixels: a second mark beside the colour. */
const HATCH_PX = 7;
const DASHED = [6, 4];
const DOTTED = [2, 4];

/**
 * Draws the level, the stretches that reach it, and the time from which estimates are provisional.
 *
 * @param {UPlot} plot
 * @param {Marks | undefined} marks
 */
export function drawMarks(plot, marks) {
  if (!marks) return;
  for (const { startMs, endMs } of marks.stretches) drawHatching(plot, startMs / 1000, endMs / 1000);
  drawLine(plot, "violence", 1.5, "y", marks.level, DASHED);
  if (marks.finalMs !== undefined) drawLine(plot, "quiet", 1.5, "x", marks.finalMs / 1000, DOTTED);
}

/**
 * @param {UPlot} plot
 * @param {number} start seconds
 * @param {number} end seconds
 */
function drawHatching({ ctx, bbox, valToPos }, start, end) {
  const unit = devicePixelRatio;
  const left = valToPos(start, "x", true);
  // A single frame can be seen too.
  const width = Math.max(valToPos(end, "x", true) - left, 3 * unit);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.beginPath();
  ctx.rect(left, bbox.top, width, bbox.height);
  ctx.clip();
  ctx.fillStyle = ctx.strokeStyle = colour("violence");
  ctx.globalAlpha = 0.12;
  ctx.fillRect(left, bbox.top, width, bbox.height);
  ctx.globalAlpha = 0.45;
  ctx.lineWidth = unit;
  ctx.beginPath();
  // Aligned with the page, so that the hatching does not crawl while the stretch grows.
  const step = HATCH_PX * unit;
  for (let x = Math.floor((left - bbox.height) / step) * step; x < left + width; x += step) {
    ctx.moveTo(x, bbox.top + bbox.height);
    ctx.lineTo(x + bbox.height, bbox.top);
  }
  ctx.stroke();
  ctx.globalAlpha = 1;
  ctx.fillRect(left, bbox.top, width, 4 * unit);
  ctx.restore();
}

/**
 * Draws a line across the chart.
 *
 * @param {UPlot} plot
 * @param {string} name of the colour
 * @param {number} width CSS pixels
 * @param {"x" | "y"} scale on which it has one value
 * @param {number} value
 * @param {readonly number[]} [dashes] CSS pixels
 */
export function drawLine({ ctx, bbox, valToPos }, name, width, scale, value, dashes = []) {
  const place = Math.round(valToPos(value, scale, true));
  ctx.save();
  ctx.strokeStyle = colour(name);
  ctx.setLineDash(dashes.map((length) => length * devicePixelRatio));
  ctx.lineWidth = width * devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(scale === "x" ? place : bbox.left, scale === "x" ? bbox.top : place);
  ctx.lineTo(scale === "x" ? place : bbox.left + bbox.width, scale === "x" ? bbox.top + bbox.height : place);
  ctx.stroke();
  ctx.restore();
}
