// Stands in for the wasm module where a test needs a failure that the real one does not show on demand.
// The first pixel's red says what happens: 1 traps, 2 fails with a code, 3 never answers, 4 takes a second; anything else
// is a report. Sound that begins with 1 fails; a single picture tells what was heard since the last one.

/** @type {string | undefined} */
let panic;
let opened = 0;

export default async function initialise() {}

export function lastPanic() {
  return panic;
}

/** Keeps no more than which files came. */
export class WeightFiles {
  roles = new Set();

  /** @param {string} role */
  add(role) {
    this.roles.add(role);
  }
}

export class Lens {
  #settings = {
    faces: {
      gla: true,
      halfWindow: 0,
      valenceArousalHalfWindow: 0,
      actionUnitsHalfWindow: 0,
      confidence: 1,
      blend: 1,
      landmarks: false,
      turned: false,
      detectorThreshold: 0.5,
      faceWeight: 0.6,
      speechOnly: true,
    },
    violence: { threshold: 0.5, every: 1 },
  };
  #sound = null;
  #heard = [];

  /**
   * Called as `open(device, tasks, files, workers)`.
   *
   * @param {string} device
   * @param {string[]} tasks
   * @param {WeightFiles} files
   */
  static async open(device, tasks, files) {
    opened += 1;
    if (device !== "cpu") {
      panic = "the adapter refused";
      throw new WebAssembly.RuntimeError("unreachable");
    }
    const lens = new Lens();
    const expression = files.roles.has("audioExpressionHead");
    if (files.roles.has("voice")) lens.#sound = { speech: true, expression, windowMs: expression ? 4000 : null };
    return lens;
  }

  device() {
    return { kind: "cpu", adapter: "double", fallback: null };
  }

  violence() {
    return null;
  }

  sound() {
    return this.#sound;
  }

  async hear(samples, timeMs) {
    if (samples[0] === 1) throw Object.assign(new Error("too loud"), { code: "bad-argument" });
    this.#heard.push({ samples, timeMs });
  }

  settings() {
    return { ...this.#settings };
  }

  configure(settings) {
    this.#settings = settings;
  }

  calibrate() {}

  async analyze(width, height, rgba, timeMs) {
    if (rgba[0] === 1) {
      panic = "device was lost";
      // As a panic in an asynchronous export does: outside the promise that is waited for.
      setTimeout(() => {
        throw new WebAssembly.RuntimeError("unreachable");
      });
      return new Promise(() => {});
    }
    if (rgba[0] === 2) throw Object.assign(new Error("the device gave nothing"), { code: "device-failed" });
    if (rgba[0] === 3) return new Promise(() => {});
    if (rgba[0] === 4) await new Promise((resolve) => setTimeout(resolve, 1000));
    return { frame: opened, time_ms: timeMs, faces: [] };
  }

  async analyzeSingle() {
    return { heard: this.#heard.splice(0) };
  }

  async analyzeFace() {
    return {};
  }

  reset() {}
}
