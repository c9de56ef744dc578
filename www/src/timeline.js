// @ts-check
// What is said of one face, over time.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { colour, dash, onSchemeChange } from "./palette.js";

/**
 * @typedef {import("affectlens").FrameReport} FrameReport
 * @typedef {import("./views.js").View} View
 * @typedef {import("./views.js").Line} Line
 */

/** How much of a stream without an end is shown, seconds. */
const STREAM_SECONDS = 60;
const HEIGHT_PX = 210;

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
   * @param {readonly FrameReport[]} reports in the order of time
   * @param {View} view
   * @param {number | undefined} face id of the face to show
   * @param {{ durationSeconds?: number, positionSeconds?: number }} clip of a clip
   */
  show(reports, view, face, { durationSeconds, positionSeconds }) {
    const lastSeconds = reports.length > 0 ? reports[reports.length - 1].time_ms / 1000 : 0;
    const range =
      durationSeconds === undefined
        ? { min: Math.max(0, lastSeconds - STREAM_SECONDS), max: Math.max(lastSeconds, STREAM_SECONDS) }
        : { min: 0, max: durationSeconds };
    this.#position = positionSeconds;
    const shown = reports.filter(({ time_ms }) => time_ms / 1000 >= range.min);
    const times = shown.map(({ time_ms }) => time_ms / 1000);
    const lines = view.lines(shown, face);
    if (view !== this.#view || keysOf(lines) !== keysOf(this.#lines)) {
      [this.#view, this.#lines] = [view, lines];
      this.#build();
    }
    const faces = shown.map((report) => report.faces.find(({ id }) => id === face));
    const values = lines.map(({ key }) => faces.map((found) => (found && view.value(found, key)) ?? null));
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
          drawAxes: [(plot) => range[0] < 0 && drawLine(plot, "quiet", 1, "y", 0)],
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
 * A line across the chart.
 *
 * @param {uPlot} plot
 * @param {string} name of the colour
 * @param {number} width CSS pixels
 * @param {"x" | "y"} scale on which it stands at one value
 * @param {number} value
 */
function drawLine({ ctx, bbox, valToPos }, name, width, scale, value) {
  const at = Math.round(valToPos(value, scale, true));
  ctx.save();
  ctx.strokeStyle = colour(name);
  ctx.setLineDash([]);
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
