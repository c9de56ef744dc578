// @ts-check
// The figures that are measured on the page.

import { byId } from "./elements.js";
import { milliseconds } from "./format.js";

/**
 * @typedef {{
 *   stats: import("./stats.js").Stats,
 *   requests: number | undefined,
 *   timings: import("affectlens").Timings | undefined,
 * }} Measured `requests`: since loading, where they are counted
 */

/** The panel of figures. */
export class NumbersPanel {
  #requests = byId("n-requests");
  #median = byId("n-p50");
  #tail = byId("n-p95");
  #analysed = byId("n-analysed");
  #rate = byId("n-fps");
  #dropped = byId("n-dropped");
  #load = byId("n-load");
  #first = byId("n-first");

  /** @param {Measured} measured */
  show({ stats, requests, timings }) {
    this.#requests.textContent = requests === undefined ? "–" : String(requests);
    this.#requests.dataset.state = requests === undefined ? "unknown" : requests === 0 ? "none" : "some";
    this.#median.textContent = milliseconds(stats.latency(0.5));
    this.#tail.textContent = milliseconds(stats.latency(0.95));
    this.#analysed.textContent = String(stats.analysed);
    this.#rate.textContent = stats.rate?.toFixed(1) ?? "–";
    this.#dropped.textContent = String(stats.dropped);
    this.#load.textContent = milliseconds(timings?.loadMs);
    this.#first.textContent = milliseconds(timings?.firstResultMs ?? undefined);
  }
}
