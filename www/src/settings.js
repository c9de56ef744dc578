// @ts-check
// The form of settings. It shows the settings in force.

import { byId } from "./elements.js";
import { percent } from "./format.js";

/** @typedef {import("affectlens").Settings} Settings */

/** The settings that are smoothing windows. */
const WINDOWS = /** @type {const} */ (["halfWindow", "valenceArousalHalfWindow", "actionUnitsHalfWindow"]);
/** Turns the confidence filter off: no probability is above 1. */
const OFF = 1;
/** The slider's value while the filter is off; lower ones cost accuracy (see the model card). */
const SUGGESTED_CONFIDENCE = 0.98;

/** Shows settings, and reports changes as they are made. */
export class SettingsForm {
  #form;
  #onChange;
  #faceWeightRow = byId("face-weight");
  /** @type {Settings | undefined} */
  #tuned;
  /** What the form gives for the tuned settings: sliders have steps. @type {Partial<Settings>} */
  #defaults = {};
  /** What the visitor wanted before the model was there. @type {Partial<Settings>} */
  #wanted = {};

  /**
   * @param {HTMLFormElement} form
   * @param {(changed: Partial<Settings>) => void} onChange
   */
  constructor(form, onChange) {
    this.#form = form;
    this.#onChange = onChange;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", ({ target }) => {
      this.#showValues();
      if (!this.#tuned) this.#remember(/** @type {HTMLInputElement} */ (target).name);
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
   * Takes the settings that the model starts with; those that the visitor had chosen before are applied again.
   *
   * @param {Settings} tuned
   * @param {boolean} hasVoice whether expressions are told from sound too
   */
  show(tuned, hasVoice) {
    this.#faceWeightRow.hidden = !hasVoice;
    const isFirst = this.#tuned === undefined;
    this.#tuned = tuned;
    if (isFirst) {
      this.#write(this.#tuned);
      this.#defaults = this.#read();
      this.#write({ ...this.#tuned, ...this.#wanted });
    }
    this.#onChange(this.#read());
  }

  /** @param {Partial<Settings>} wanted in place of those that the model starts with */
  begin(wanted) {
    this.#wanted = wanted;
  }

  /** @param {string} changed name of what the visitor has changed before the model was there */
  #remember(changed) {
    const name = /** @type {keyof Settings} */ (changed === "filter" ? "confidence" : changed);
    this.#wanted = { ...this.#wanted, [name]: this.#read()[name] };
  }

  /** The settings that are not the defaults. @returns {Partial<Settings>} */
  get changed() {
    if (!this.#tuned) return this.#wanted;
    const defaults = /** @type {Record<string, unknown>} */ (this.#defaults);
    return Object.fromEntries(Object.entries(this.#read()).filter(([name, value]) => value !== defaults[name]));
  }

  /** What the settings can be. @returns {import("./address.js").Controls} */
  get controls() {
    const rangeOf = (/** @type {string} */ name) => {
      const { min, max, step } = this.#input(name);
      return { least: Number(min), most: Number(max), step: Number(step) };
    };
    const ranges = [...WINDOWS, "blend", "faceWeight", "violenceThreshold"].map((name) => [name, rangeOf(name)]);
    return { gla: "switch", ...Object.fromEntries(ranges), confidence: { ...rangeOf("confidence"), most: OFF } };
  }

  /** The threshold of violence that the form shows. */
  get violenceThreshold() {
    return this.#input("violenceThreshold").valueAsNumber;
  }

  /** @param {string} name */
  #input(name) {
    return /** @type {HTMLInputElement} */ (this.#form.elements.namedItem(name));
  }

  /** @param {Settings} settings */
  #write({ gla, confidence, blend, violenceThreshold, faceWeight, ...others }) {
    this.#input("gla").checked = gla;
    for (const name of WINDOWS) this.#input(name).value = String(others[name]);
    this.#input("filter").checked = confidence < 1;
    this.#input("confidence").value = String(confidence < 1 ? confidence : SUGGESTED_CONFIDENCE);
    this.#input("blend").value = String(blend);
    this.#input("violenceThreshold").value = String(violenceThreshold);
    this.#input("faceWeight").value = String(faceWeight);
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
      ...(this.#faceWeightRow.hidden ? {} : { faceWeight: this.#input("faceWeight").valueAsNumber }),
    };
  }

  #showValues() {
    const isFiltering = this.#input("filter").checked;
    this.#input("confidence").disabled = !isFiltering;
    for (const name of WINDOWS) {
      const frames = this.#input(name).valueAsNumber;
      this.#showValue(name, frames === 0 ? "off" : `${2 * frames + 1} frames`);
    }
    this.#showValue("confidence", isFiltering ? this.#input("confidence").valueAsNumber.toFixed(2) : "off");
    this.#showValue("blend", this.#input("blend").valueAsNumber.toFixed(2));
    this.#showValue("violenceThreshold", percent(this.violenceThreshold));
    this.#showValue("faceWeight", this.#input("faceWeight").valueAsNumber.toFixed(2));
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  #showValue(name, text) {
    const output = this.#input(name).nextElementSibling;
    if (output) output.textContent = text;
    this.#input(name).setAttribute("aria-valuetext", text);
  }
}
