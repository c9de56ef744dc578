// @ts-check
// The panel that measures this machine, and shows what was measured on another.

import { AffectLensError, load } from "affectlens";
import weights from "affectlens-weights";

import { byId, partOf, setText } from "./elements.js";
import { milliseconds } from "./format.js";
import { describeMachine, readMeasured, writeMeasured } from "./measured.js";
import { TASKS } from "./model.js";
import { messageOf } from "./notices.js";

/** @typedef {import("./measured.js").Measured} Measured */

const DEVICES = /** @type {const} */ (["cpu", "webgpu"]);
/** Pictures of the same stream, this far apart. */
const STEP_MS = 40;
/** Pictures that are timed after the first ones, as far as they fit into that time. */
const TIMED = 60;
const LEAST_TIMED = 5;
const TIMED_MS = 5000;
/** Pictures before them: pools fill, the clock of the processor rises. */
const BEFORE = 3;

/** One button, a table, and a link. */
export class MachinePanel {
  #button = byId("measure", HTMLButtonElement);
  #link = byId("copy-measured", HTMLButtonElement);
  #says = byId("measured-says");
  #table = byId("measured");
  #fetchPicture;
  #version;
  #isBusy = false;

  /**
   * @param {string} version of the package
   * @param {() => Promise<Blob>} fetchPicture the picture that is analysed
   * @param {<T>(loading: Promise<T>) => Promise<T>} onLoad the models are fetched again, on purpose
   */
  constructor(version, fetchPicture, onLoad) {
    this.#version = version;
    this.#fetchPicture = fetchPicture;
    this.#button.addEventListener("click", () => void onLoad(this.#measure()));
    this.#link.addEventListener("click", () => this.#copy());
    this.#showAddress();
    addEventListener("hashchange", () => this.#showAddress());
  }

  /** @param {boolean} isFree whether the model is loaded and looks at nothing */
  show(isFree) {
    this.#button.disabled = this.#isBusy || !isFree;
  }

  #showAddress() {
    const measured = readMeasured(location.hash);
    if (!measured) return;
    this.#show(measured);
    setText(this.#says, `From the link: ${measured.machine}; affectlens ${measured.version}.`);
  }

  async #measure() {
    this.#isBusy = true;
    this.#button.disabled = true;
    /** @type {Measured} */
    const measured = { machine: "", version: this.#version };
    /** @type {string[]} */
    const missing = [];
    let adapter;
    try {
      const picture = await createImageBitmap(await this.#fetchPicture());
      for (const device of DEVICES) {
        setText(this.#says, `Measuring ${NAMES[device]} …`);
        try {
          const { times, lens } = await time(device, picture);
          measured[device] = times;
          if (device === "webgpu") adapter = lens.adapter;
        } catch (error) {
          if (!(error instanceof AffectLensError)) throw error;
          missing.push(`${NAMES[device]}: ${error.message}.`);
        }
      }
      picture.close();
      measured.machine = describeMachine(navigator, adapter);
      this.#show(measured);
      if (measured.cpu || measured.webgpu) history.replaceState(null, "", writeMeasured(measured));
      setText(this.#says, [`Here: ${measured.machine}; affectlens ${measured.version}. The figures are in this page's address.`, ...missing].join(" "));
    } catch (error) {
      setText(this.#says, `That did not work: ${messageOf(error)}.`);
    } finally {
      this.#isBusy = false;
    }
  }

  /** @param {Measured} measured */
  #show(measured) {
    for (const device of DEVICES) {
      const times = measured[device];
      setText(partOf(this.#table, `${device}-load`), milliseconds(times?.loadMs));
      setText(partOf(this.#table, `${device}-first`), milliseconds(times?.firstMs));
      setText(partOf(this.#table, `${device}-steady`), times ? `${times.steadyMs.toFixed(1)} ms` : "–");
    }
    this.#link.disabled = false;
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(location.href);
      setText(this.#says, "The link is copied.");
    } catch {
      setText(this.#says, "The link cannot be copied here: this browser does not allow it. It is the page's address.");
    }
  }
}

const NAMES = { cpu: "the CPU", webgpu: "WebGPU" };

/**
 * Loads the model for a device, and times it on one picture as frames of a stream.
 *
 * @param {"cpu" | "webgpu"} device
 * @param {ImageBitmap} picture
 */
async function time(device, picture) {
  const lens = await load({ tasks: TASKS, weights, device });
  try {
    const look = async (/** @type {number} */ frame) => {
      const asked = performance.now();
      await lens.analyze(picture, { timeMs: frame * STEP_MS });
      return performance.now() - asked;
    };
    const firstMs = await look(0);
    let frame = 1;
    for (; frame <= BEFORE; frame++) await look(frame);
    /** @type {number[]} */
    const timed = [];
    const began = performance.now();
    while (timed.length < TIMED && (timed.length < LEAST_TIMED || performance.now() - began < TIMED_MS)) timed.push(await look(frame++));
    timed.sort((one, other) => one - other);
    const steadyMs = timed[Math.floor(timed.length / 2)];
    // As the link carries them: it says what stands here.
    const [load, first, steady] = [lens.timings.loadMs, firstMs, steadyMs].map((ms) => Number(ms.toFixed(1)));
    return { times: { loadMs: load, firstMs: first, steadyMs: steady }, lens: lens.device };
  } finally {
    lens.dispose();
  }
}
