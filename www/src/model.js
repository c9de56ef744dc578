// @ts-check
// The model: loaded for one device, loaded again when another is chosen.

import { load } from "affectlens";
import weights from "affectlens-weights";

import { messageOf } from "./notices.js";

/**
 * @typedef {import("affectlens").Lens} Lens
 * @typedef {{
 *   onStart: () => void,
 *   onLoaded: (lens: Lens) => void,
 *   onEnd: () => void,
 * }} Listeners `onEnd` follows success and failure
 */

/** Sound is loaded with the rest: 1.2 MB, and to load it later would end the stream. @type {import("affectlens").Task[]} */
export const TASKS = ["expression", "valence-arousal", "action-units", "violence"];

/**
 * @param {boolean} hasPoses whether people's bodies are looked for too
 * @returns {import("affectlens").Task[]}
 */
export function tasksOf(hasPoses) {
  return hasPoses ? [...TASKS, "pose"] : TASKS;
}

/** The lens of the page. */
export class Model {
  /** None while it loads, and after it failed to. @type {Lens | undefined} */
  lens;
  #panel;
  #notices;
  #alsoFetch;
  #listeners;
  /** @type {AbortController | undefined} */
  #attempt;

  /**
   * @param {import("./device.js").DevicePanel} panel
   * @param {import("./notices.js").Notices} notices
   * @param {() => Promise<unknown>} alsoFetch what else the page fetches before it counts as loaded
   * @param {Listeners} listeners
   */
  constructor(panel, notices, alsoFetch, listeners) {
    this.#panel = panel;
    this.#notices = notices;
    this.#alsoFetch = alsoFetch;
    this.#listeners = listeners;
  }

  /**
   * Loads the model in place of the one before; a load that is still under way is stopped.
   *
   * @param {import("./device.js").DeviceName} device
   * @param {boolean} hasPoses whether people's bodies are looked for too
   */
  async load(device, hasPoses) {
    this.#attempt?.abort();
    this.dispose();
    const attempt = new AbortController();
    this.#attempt = attempt;
    this.#listeners.onStart();
    this.#panel.showLoading();
    try {
      const lens = await this.#fetch(device, hasPoses, attempt.signal);
      if (attempt !== this.#attempt) return lens.dispose();
      this.lens = lens;
      this.#panel.showDevice(lens.device);
      this.#notices.clear("model");
      this.#listeners.onLoaded(lens);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.#panel.showFailure();
      this.#notices.report("model", `The model cannot be loaded: ${messageOf(error)}`);
    } finally {
      this.#listeners.onEnd();
    }
  }

  dispose() {
    this.lens?.dispose();
    this.lens = undefined;
  }

  /**
   * @param {import("./device.js").DeviceName} device
   * @param {boolean} hasPoses
   * @param {AbortSignal} signal
   */
  async #fetch(device, hasPoses, signal) {
    /** @param {import("affectlens").Progress} progress */
    const onProgress = (progress) => this.#panel.showProgress(progress);
    const loading = load({ tasks: tasksOf(hasPoses), audio: true, weights, device, signal, onProgress });
    try {
      const [lens] = await Promise.all([loading, this.#alsoFetch()]);
      return lens;
    } catch (error) {
      // The other fetch may have failed: no worker stays behind.
      loading.then(
        (lens) => lens.dispose(),
        () => {},
      );
      throw error;
    }
  }
}
