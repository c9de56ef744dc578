// @ts-check
// What the visitor has chosen beside the form of settings, and all of it in the page's address.

import { readAddress, writeAddress } from "./address.js";
import { byId } from "./elements.js";
import { SAMPLES, offerSamples, sampleOf } from "./samples.js";
import { VIEWS } from "./views.js";

/** What an address may hold besides settings; `source` is opened at once where `autostart` is 1. */
const CHOICES = {
  device: ["auto", "webgpu", "cpu"],
  view: Object.keys(VIEWS),
  mesh: ["1"],
  skeletons: ["1"],
  sample: SAMPLES.map(({ id }) => id),
  source: ["camera", "clip"],
  autostart: ["0", "1"],
};

/** The switches above the picture, the sample and the view of the timeline. */
export class Choices {
  mesh = byId("show-mesh", HTMLInputElement);
  skeletons = byId("show-skeletons", HTMLInputElement);
  #sample = byId("sample", HTMLSelectElement);
  #view = byId("timeline-view", HTMLFieldSetElement);
  #settings;
  /** The device that the address names. @type {string | null} */
  device;
  /** The source that is opened at once. @type {"camera" | "clip" | undefined} */
  opened;

  /**
   * Takes over what the address asks for; what it does not understand is told.
   *
   * @param {import("./settings.js").SettingsForm} settings
   * @param {import("./notices.js").Notices} notices
   */
  constructor(settings, notices) {
    this.#settings = settings;
    const { choices, settings: wanted, bad } = readAddress(new URLSearchParams(location.search), settings.controls, CHOICES);
    settings.begin(wanted);
    this.device = choices.device ?? null;
    this.mesh.checked = choices.mesh === "1";
    this.skeletons.checked = choices.skeletons === "1";
    offerSamples(this.#sample, choices.sample ?? null);
    const view = choices.view && this.#view.querySelector(`[value="${choices.view}"]`);
    if (view instanceof HTMLInputElement) view.checked = true;
    if (choices.autostart === "1") this.opened = choices.source === "clip" ? "clip" : "camera";
    if (bad.length > 0) notices.report("address", `Left out of the address, since it is not understood: ${bad.join(", ")}.`);
  }

  get sample() {
    return sampleOf(this.#sample.value);
  }

  /** The settings in force that are not the defaults, for code that repeats them. */
  get settings() {
    return { ...this.#settings.changed, ...(this.mesh.checked && { landmarks: true }) };
  }

  /**
   * Writes everything into the address.
   *
   * @param {import("./device.js").DeviceName} device
   */
  keep(device) {
    const view = /** @type {HTMLInputElement} */ (this.#view.querySelector(":checked")).value;
    const choices = {
      device: device === "auto" ? undefined : device,
      view: view === "expressions" ? undefined : view,
      mesh: this.mesh.checked ? "1" : undefined,
      skeletons: this.skeletons.checked ? "1" : undefined,
      sample: this.sample === SAMPLES[0] ? undefined : this.sample.id,
    };
    const { controls, changed } = this.#settings;
    history.replaceState(null, "", writeAddress(location.href, controls, changed, choices));
  }
}
