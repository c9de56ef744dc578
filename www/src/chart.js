// @ts-check
// A chart of reports over time.

import uPlot from "uplot";

import { drawLine, drawMarks } from "./marks.js";
import { colour, dash, onSchemeChange } from "./palette.js";
import { pointsOf } from "./views.js";

/**
 * @typedef {import("./log.js").KeptReport} KeptReport
 * @typedef {import("./views.js").View} View
 * @typedef {import("./views.js").Marks} Marks
 * @typedef {import("./views.js").Line} Line
 */

/** The part of a stream without an end that is shown, seconds. */
const STREAM_SECONDS = 60;
const HEIGHT_PX = 210;

/** A chart that is drawn anew from all reports each time. */
export class Chart {
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
  /** While a pointer is over the chart, the legend follows it. */
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
   *   `face`: id of the one to show; `threshold`: of violence; duration and position: of a clip
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
    const data = this.#plot?.data;
    this.#plot?.destroy();
    /** @type {uPlot.AlignedData} */
    const empty = [[], ...this.#lines.map(() => [])];
    this.#plot = new uPlot(this.#options(), data?.length === empty.length ? data : empty, this.#holder);
  }

  /** @returns {uPlot.Options} */
  #options() {
    const { range, text } = this.#view;
    const [ink, grid] = [colour("quiet"), colour("line")];
    const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
    return {
      width: this.#holder.clientWidth,
      height: HEIGHT_PX,
      scales: { x: { time: false }, y: { range } },
      axes: [
        { ...axis, values: (_, splits) => splits.map((seconds) => `${seconds} s`) },
        { ...axis, size: 54, values: (_, splits) => splits.map(text) },
      ],
      series: [
        { label: "time", value: (_, seconds) => (seconds == null ? "–" : `${seconds.toFixed(1)} s`) },
        ...this.#lines.map((line, index) => seriesOf(line, index, text)),
      ],
      cursor: { drag: { x: false, y: false }, points: { size: 7 } },
      legend: { markers: { width: 3 } },
      hooks: {
        drawAxes: [(plot) => range[0] < 0 && drawLine(plot, "quiet", 1, "y", 0), (plot) => drawMarks(plot, this.#marks)],
        draw: [(plot) => this.#position !== undefined && drawLine(plot, "accent", 2, "x", this.#position)],
        ready: [({ over }) => this.#followPointer(over)],
      },
    };
  }

  /** @param {HTMLElement} area of the chart's lines */
  #followPointer(area) {
    area.addEventListener("pointerenter", () => (this.#isPointedAt = true));
    area.addEventListener("pointerleave", () => (this.#isPointedAt = false));
    area.addEventListener("click", () => this.#seekToCursor());
  }

  #seekToCursor() {
    const left = this.#plot?.cursor.left ?? -1;
    if (this.#plot && left >= 0) this.#onSeek(this.#plot.posToVal(left, "x"));
  }
}

/**
 * @param {Line} line
 * @param {number} index
 * @param {(value: number) => string} text
 * @returns {uPlot.Series}
 */
function seriesOf({ label, colour: name }, index, text) {
  return {
    label,
    stroke: colour(name),
    width: 2,
    dash: dash(index),
    points: { show: false },
    value: (_, value) => (value == null ? "–" : text(value)),
  };
}

/** @param {readonly Line[]} lines */
function keysOf(lines) {
  return lines.map(({ key }) => key).join();
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
