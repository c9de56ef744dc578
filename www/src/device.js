// @ts-check
// The device that the networks run on, and how far loading has come.

import { byId } from "./elements.js";
import { megabytes } from "./format.js";

/**
 * @typedef {import("affectlens").Progress} Progress
 * @typedef {"auto" | "webgpu" | "cpu"} DeviceName
 */

/** The badge with the device, the choice of one, and the progress bar. */
export class DevicePanel {
  #badge = byId("badge");
  #choice = byId("device", HTMLSelectElement);
  #fallback = byId("fallback");
  #loading = byId("loading");
  #step = byId("progress-text");
  #bar = byId("progress", HTMLProgressElement);
  #ready = byId("ready");

  /**
   * @param {string | null} wanted the device to begin with; `auto` where there is none of that name
   * @param {(device: DeviceName) => void} onChoose
   */
  constructor(wanted, onChoose) {
    this.#choice.value = wanted ?? "auto";
    if (this.#choice.selectedIndex < 0) this.#choice.value = "auto";
    this.#choice.addEventListener("change", () => onChoose(this.chosen));
  }

  get chosen() {
    return /** @type {DeviceName} */ (this.#choice.value);
  }

  showLoading() {
    this.#showBadge("loading", "loading");
    this.#fallback.textContent = "";
    this.#showStatus(true, "");
  }

  /** @param {Progress} progress */
  showProgress(progress) {
    const { stage, loadedBytes = 0, totalBytes = 0 } = progress;
    this.#step.textContent = describeProgress(progress);
    if (stage === "weights" && totalBytes > 0 && loadedBytes < totalBytes) {
      this.#bar.max = totalBytes;
      this.#bar.value = loadedBytes;
    } else {
      this.#bar.removeAttribute("value");
    }
  }

  /** @param {import("affectlens").DeviceReport} device */
  showDevice({ kind, adapter, fallback }) {
    this.#showBadge(kind, kind === "cpu" ? "CPU" : `WebGPU · ${adapter}`);
    this.#fallback.textContent = fallback ? `Not on WebGPU: ${fallback}.` : "";
    this.#showStatus(false, "The model is loaded: from here on nothing is fetched, and nothing is sent.");
  }

  showFailure() {
    this.#showBadge("none", "not loaded");
    this.#showStatus(false, "The model is not loaded.");
  }

  /**
   * @param {boolean} isLoading
   * @param {string} text what stands where the progress was
   */
  #showStatus(isLoading, text) {
    this.#loading.hidden = !isLoading;
    this.#ready.hidden = isLoading;
    this.#ready.textContent = text;
  }

  /**
   * @param {string} kind
   * @param {string} text
   */
  #showBadge(kind, text) {
    this.#badge.dataset.kind = kind;
    this.#badge.textContent = text;
  }
}

/** @param {Progress} progress */
export function describeProgress({ stage, loadedBytes = 0, totalBytes = 0, cached }) {
  switch (stage) {
    case "weights":
      return totalBytes > 0 && !cached
        ? `Loading the model: ${megabytes(loadedBytes)} of ${megabytes(totalBytes)} MB`
        : "Loading the model";
    case "device":
      return "Preparing the networks";
    case "warm-up":
      return "Warming up";
  }
}
