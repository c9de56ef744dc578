// @ts-check
// The form of settings; what it shows is what is in force.

import { percent } from "./format.js";

/** @typedef {import("affectlens").Settings} Settings */

/** Settings that are smoothing windows. */
const WINDOWS = /** @type {const} */ (["halfWindow", "valenceArousalHalfWindow", "actionUnitsHalfWindow"]);
/** No probability is above it. */
const OFF = 1;
/** Where the slider stands while the filter is off; lower ones cost accuracy (see the model card). */
const SUGGESTED_CONFIDENCE = 0.98;

/** Two-way: shows settings, tells of changes as they are made. */
export class SettingsForm {
  #form;
  #onChange;
  /** @type {Settings | undefined} */
  #tuned;

  /**
   * @param {HTMLFormElement} form
   * @param {(changed: Partial<Settings>) => void} onChange
   */
  constructor(form, onChange) {
    this.#form = form;
    this.#onChange = onChange;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => {
      this.#showValues();
      onChange(this.#read());
    });
    form.addEventListener("reset", (event) => {
      event.preventDefault();
      if (!this.#tuned) return;
      this.#write(this.#tuned);
      onChange(this.#read());
    });
    this.#showValues();
  }

  /**
   * Takes the settings that the model starts with; what a user had chosen before is chosen again.
   *
   * @param {Settings} tuned
   */
  show(tuned) {
    const isFirst = this.#tuned === undefined;
    this.#tuned = tuned;
    if (isFirst) this.#write(this.#tuned);
    this.#onChange(this.#read());
  }

  /** Of violence, as it is shown. */
  get violenceThreshold() {
    return this.#input("violenceThreshold").valueAsNumber;
  }

  /** @param {string} name */
  #input(name) {
    return /** @type {HTMLInputElement} */ (this.#form.elements.namedItem(name));
  }

  /** @param {Settings} settings */
  #write({ gla, confidence, blend, violenceThreshold, ...others }) {
    this.#input("gla").checked = gla;
    for (const name of WINDOWS) this.#input(name).value = String(others[name]);
    this.#input("filter").checked = confidence < 1;
    this.#input("confidence").value = String(confidence < 1 ? confidence : SUGGESTED_CONFIDENCE);
    this.#input("blend").value = String(blend);
    this.#input("violenceThreshold").value = String(violenceThreshold);
    this.#showValues();
  }

  /** @returns {Partial<Settings>} */
  #read() {
    return {
      gla: this.#input("gla").checked,
      ...Object.fromEntries(WINDOWS.map((name) => [name, this.#input(name).valueAsNumber])),
      confidence: this.#input("filter").checked ? this.#input("confidence").valueAsNumber : OFF,
      blend: this.#input("blend").valueAsNumber,
      violenceThreshold: this.violenceThreshold,
    };
  }

  #showValues() {
    const isFiltering = this.#input("filter").checked;
    this.#input("confidence").disabled = !isFiltering;
    for (const name of WINDOWS) {
      const frames = this.#input(name).valueAsNumber;
      this.#say(name, frames === 0 ? "off" : `${2 * frames + 1} frames`);
    }
    this.#say("confidence", isFiltering ? this.#input("confidence").valueAsNumber.toFixed(2) : "off");
    this.#say("blend", this.#input("blend").valueAsNumber.toFixed(2));
    this.#say("violenceThreshold", percent(this.violenceThreshold));
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  #say(name, text) {
    const output = this.#input(name).nextElementSibling;
    if (output) output.textContent = text;
    this.#input(name).setAttribute("aria-valuetext", text);
  }
}
