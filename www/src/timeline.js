// @ts-check
// Probabilities of one face over time.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { colour, dash, onSchemeChange } from "./palette.js";

/** @typedef {import("affectlens").FrameReport} FrameReport */
/** @typedef {import("affectlens").ExpressionName} ExpressionName */

/** How much of a stream without an end is shown, seconds. */
const STREAM_SECONDS = 60;
const HEIGHT_PX = 210;

/** A chart that is drawn anew from the reports. */
export class Timeline {
  #holder;
  #onSeek;
  /** @type {uPlot | undefined} */
  #plot;
  /** @type {readonly ExpressionName[]} */
  #names = [];
  /** @type {number | undefined} */
  #position;
  /** While a pointer is over the chart the legend follows it. */
  #isPointedAt = false;

  /**
   * @param {HTMLElement} holder
   * @param {(seconds: number) => void} onSeek
   */
  constructor(holder, onSeek) {
    this.#holder = holder;
    this.#onSeek = onSeek;
    new ResizeObserver(() => this.#plot?.setSize({ width: holder.clientWidth, height: HEIGHT_PX })).observe(holder);
    onSchemeChange(() => this.#build());
    this.#build();
  }

  /**
   * @param {readonly FrameReport[]} reports in the order of time
   * @param {readonly ExpressionName[]} names
   * @param {number | undefined} face id of the face to show
   * @param {{ durationSeconds?: number, positionSeconds?: number }} clip of a clip
   */
  show(reports, names, face, { durationSeconds, positionSeconds }) {
    if (names.join() !== this.#names.join()) {
      this.#names = names;
      this.#build();
    }
    const lastSeconds = reports.length > 0 ? reports[reports.length - 1].time_ms / 1000 : 0;
    const range =
      durationSeconds === undefined
        ? { min: Math.max(0, lastSeconds - STREAM_SECONDS), max: Math.max(lastSeconds, STREAM_SECONDS) }
        : { min: 0, max: durationSeconds };
    this.#position = positionSeconds;
    const shown = reports.filter(({ time_ms }) => time_ms / 1000 >= range.min);
    const times = shown.map(({ time_ms }) => time_ms / 1000);
    const faces = shown.map((report) => report.faces.find(({ id }) => id === face));
    const lines = names.map((name) => faces.map((found) => found?.expression.probabilities[name] ?? null));
    this.#plot?.batch(() => {
      this.#plot?.setData([times, ...lines], false);
      this.#plot?.setScale("x", range);
    });
    if (this.#plot && !this.#isPointedAt && times.length > 0) this.#plot.setLegend({ idx: latestUpTo(times, positionSeconds) }, false);
  }

  #build() {
    const data = this.#plot?.data ?? [[]];
    this.#plot?.destroy();
    const [ink, grid] = [colour("quiet"), colour("line")];
    const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
    this.#plot = new uPlot(
      {
        width: this.#holder.clientWidth,
        height: HEIGHT_PX,
        scales: { x: { time: false }, y: { range: [0, 1] } },
        axes: [
          { ...axis, values: (_, splits) => splits.map((seconds) => `${seconds} s`) },
          { ...axis, size: 54, values: (_, splits) => splits.map((share) => `${Math.round(share * 100)} %`) },
        ],
        series: [
          { label: "time", value: (_, seconds) => (seconds == null ? "–" : `${seconds.toFixed(1)} s`) },
          ...this.#names.map((name, index) => ({
            label: name,
            stroke: colour(name),
            width: 2,
            dash: dash(index),
            points: { show: false },
            value: (/** @type {uPlot} */ _, /** @type {number | null | undefined} */ share) =>
              share == null ? "–" : `${Math.round(share * 100)} %`,
          })),
        ],
        cursor: { drag: { x: false, y: false }, points: { size: 7 } },
        legend: { markers: { width: 3 } },
        hooks: {
          draw: [(plot) => this.#drawPosition(plot)],
          ready: [
            ({ over }) => {
              over.addEventListener("pointerenter", () => (this.#isPointedAt = true));
              over.addEventListener("pointerleave", () => (this.#isPointedAt = false));
              over.addEventListener("click", () => this.#seekToCursor());
            },
          ],
        },
      },
      data.length === this.#names.length + 1 ? data : /** @type {any} */ ([[], ...this.#names.map(() => [])]),
      this.#holder,
    );
  }

  #seekToCursor() {
    const left = this.#plot?.cursor.left ?? -1;
    if (this.#plot && left >= 0) this.#onSeek(this.#plot.posToVal(left, "x"));
  }

  /** @param {uPlot} plot */
  #drawPosition(plot) {
    if (this.#position === undefined) return;
    const x = Math.round(plot.valToPos(this.#position, "x", true));
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = colour("accent");
    ctx.setLineDash([]);
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }
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
