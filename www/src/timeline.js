// @ts-check
// What is said of one face, or of the whole picture, over time.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { colour, dash, onSchemeChange } from "./palette.js";
import { pointsOf } from "./views.js";

/**
 * @typedef {import("./log.js").KeptReport} KeptReport
 * @typedef {import("./views.js").View} View
 * @typedef {import("./views.js").Marks} Marks
 * @typedef {import("./views.js").Line} Line
 */

/** How much of a stream without an end is shown, seconds. */
const STREAM_SECONDS = 60;
const HEIGHT_PX = 210;
/** Of the hatching, CSS pixels: a second mark beside the colour. */
const HATCH_PX = 7;
const DASHED = [6, 4];
const DOTTED = [2, 4];

/** A chart that is drawn anew from the reports. */
export class Timeline {
  #holder;
  #onSeek;
  /** @type {uPlot | undefined} */
  #plot;
  #view;
  /** @type {readonly Line[]} */
  #lines = [];
  /** @type {number | undefined} */
  #position;
  /** @type {Marks | undefined} */
  #marks;
  /** While a pointer is over the chart the legend follows it. */
  #isPointedAt = false;

  /**
   * @param {HTMLElement} holder
   * @param {View} view shown at first
   * @param {(seconds: number) => void} onSeek
   */
  constructor(holder, view, onSeek) {
    this.#holder = holder;
    this.#view = view;
    this.#onSeek = onSeek;
    new ResizeObserver(() => this.#plot?.setSize({ width: holder.clientWidth, height: HEIGHT_PX })).observe(holder);
    onSchemeChange(() => this.#build());
    this.#build();
  }

  /**
   * @param {readonly KeptReport[]} reports in the order of time
   * @param {View} view
   * @param {{ face: number | undefined, threshold: number, durationSeconds?: number, positionSeconds?: number }} wanted
   *   `face`: id of the one to show; `threshold` of violence; the others of a clip
   */
  show(reports, view, { face, threshold, durationSeconds, positionSeconds }) {
    const lastSeconds = reports.length > 0 ? reports[reports.length - 1].time_ms / 1000 : 0;
    const range =
      durationSeconds === undefined
        ? { min: Math.max(0, lastSeconds - STREAM_SECONDS), max: Math.max(lastSeconds, STREAM_SECONDS) }
        : { min: 0, max: durationSeconds };
    this.#position = positionSeconds;
    const { scene } = view;
    const shown = reports.filter((report) => report.time_ms / 1000 >= range.min && (scene?.isKnown(report) ?? true));
    this.#marks = scene?.marks(shown, threshold);
    const lines = view.lines(shown, face);
    if (view !== this.#view || keysOf(lines) !== keysOf(this.#lines)) {
      [this.#view, this.#lines] = [view, lines];
      this.#build();
    }
    const points = pointsOf(shown);
    const times = points.map(({ seconds }) => seconds);
    const faces = points.map(({ report }) => report?.faces.find(({ id }) => id === face));
    const values = lines.map(({ key }) =>
      points.map(({ report }, index) => (report && view.value(report, faces[index], key)) ?? null),
    );
    this.#plot?.batch(() => {
      this.#plot?.setData([times, ...values], false);
      this.#plot?.setScale("x", range);
    });
    if (this.#plot && !this.#isPointedAt && times.length > 0) this.#plot.setLegend({ idx: latestUpTo(times, positionSeconds) }, false);
  }

  #build() {
    const data = this.#plot?.data ?? [[]];
    this.#plot?.destroy();
    const { range, text } = this.#view;
    const [ink, grid] = [colour("quiet"), colour("line")];
    const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
    this.#plot = new uPlot(
      {
        width: this.#holder.clientWidth,
        height: HEIGHT_PX,
        scales: { x: { time: false }, y: { range } },
        axes: [
          { ...axis, values: (_, splits) => splits.map((seconds) => `${seconds} s`) },
          { ...axis, size: 54, values: (_, splits) => splits.map(text) },
        ],
        series: [
          { label: "time", value: (_, seconds) => (seconds == null ? "–" : `${seconds.toFixed(1)} s`) },
          ...this.#lines.map(({ label, colour: name }, index) => ({
            label,
            stroke: colour(name),
            width: 2,
            dash: dash(index),
            points: { show: false },
            value: (/** @type {uPlot} */ _, /** @type {number | null | undefined} */ value) => (value == null ? "–" : text(value)),
          })),
        ],
        cursor: { drag: { x: false, y: false }, points: { size: 7 } },
        legend: { markers: { width: 3 } },
        hooks: {
          drawAxes: [(plot) => range[0] < 0 && drawLine(plot, "quiet", 1, "y", 0), (plot) => drawMarks(plot, this.#marks)],
          draw: [(plot) => this.#position !== undefined && drawLine(plot, "accent", 2, "x", this.#position)],
          ready: [
            ({ over }) => {
              over.addEventListener("pointerenter", () => (this.#isPointedAt = true));
              over.addEventListener("pointerleave", () => (this.#isPointedAt = false));
              over.addEventListener("click", () => this.#seekToCursor());
            },
          ],
        },
      },
      data.length === this.#lines.length + 1 ? data : /** @type {any} */ ([[], ...this.#lines.map(() => [])]),
      this.#holder,
    );
  }

  #seekToCursor() {
    const left = this.#plot?.cursor.left ?? -1;
    if (this.#plot && left >= 0) this.#onSeek(this.#plot.posToVal(left, "x"));
  }
}

/** @param {readonly Line[]} lines */
function keysOf(lines) {
  return lines.map(({ key }) => key).join();
}

/**
 * The level, what reaches it, and where estimates begin to be provisional.
 *
 * @param {uPlot} plot
 * @param {Marks | undefined} marks
 */
function drawMarks(plot, marks) {
  if (!marks) return;
  for (const { startMs, endMs } of marks.stretches) drawHatching(plot, startMs / 1000, endMs / 1000);
  drawLine(plot, "violence", 1.5, "y", marks.level, DASHED);
  if (marks.finalMs !== undefined) drawLine(plot, "quiet", 1.5, "x", marks.finalMs / 1000, DOTTED);
}

/**
 * @param {uPlot} plot
 * @param {number} start seconds
 * @param {number} end seconds
 */
function drawHatching({ ctx, bbox, valToPos }, start, end) {
  const unit = devicePixelRatio;
  const left = valToPos(start, "x", true);
  // A single frame is seen too.
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
 * A line across the chart.
 *
 * @param {uPlot} plot
 * @param {string} name of the colour
 * @param {number} width CSS pixels
 * @param {"x" | "y"} scale on which it stands at one value
 * @param {number} value
 * @param {readonly number[]} [dashes] CSS pixels
 */
function drawLine({ ctx, bbox, valToPos }, name, width, scale, value, dashes = []) {
  const at = Math.round(valToPos(value, scale, true));
  ctx.save();
  ctx.strokeStyle = colour(name);
  ctx.setLineDash(dashes.map((length) => length * devicePixelRatio));
  ctx.lineWidth = width * devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(scale === "x" ? at : bbox.left, scale === "x" ? bbox.top : at);
  ctx.lineTo(scale === "x" ? at : bbox.left + bbox.width, scale === "x" ? bbox.top + bbox.height : at);
  ctx.stroke();
  ctx.restore();
}

/**
 * Index of the last time that is not after `position`; the last of all where there is no position.
 *
 * @param {readonly number[]} times
 * @param {number} [position]
 */
function latestUpTo(times, position = Infinity) {
  const after = times.findIndex((time) => time > position);
  return Math.max(0, after < 0 ? times.length - 1 : after - 1);
}
