// @ts-check
// The panel of the timeline: the choice of a view, its chart, and in words what is marked on it.

import { Chart } from "./chart.js";
import { byId } from "./elements.js";
import { VIEWS } from "./views.js";

/**
 * @typedef {{
 *   reports: readonly import("./log.js").KeptReport[],
 *   face: number | undefined,
 *   threshold: number,
 *   clip: { durationSeconds: number, positionSeconds: number } | undefined,
 * }} Course `face`: id of the chosen one; `threshold`: of violence
 */

/** The panel of the timeline. */
export class TimelinePanel {
  #choice = byId("timeline-view");
  #subject = byId("timeline-of");
  #marks = byId("timeline-says");
  #key = byId("timeline-key");
  #chart;

  /**
   * @param {() => void} onChoose called when another view is chosen
   * @param {(seconds: number) => void} onSeek
   */
  constructor(onChoose, onSeek) {
    this.#chart = new Chart(byId("timeline"), this.#view, onSeek);
    this.#choice.addEventListener("change", onChoose);
  }

  /** @param {Course} course */
  show({ reports, face, threshold, clip }) {
    const view = this.#view;
    this.#chart.show(reports, view, { face, threshold, ...clip });
    this.#subject.textContent = view.scene ? "of the whole picture" : describeFace(face);
    this.#marks.textContent = view.scene?.describe(reports, threshold) ?? "";
    for (const words of [this.#marks, this.#key]) words.hidden = !view.scene;
  }

  get #view() {
    const chosen = /** @type {HTMLInputElement} */ (this.#choice.querySelector(":checked"));
    return VIEWS[/** @type {import("./views.js").ViewName} */ (chosen.value)];
  }
}

/** @param {number | undefined} id of the chosen face */
export function describeFace(id) {
  return id === undefined ? "" : `of face ${id}`;
}
