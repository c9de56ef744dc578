// @ts-check
// The button that measures faces from a neutral look.

import { byId, setText } from "./elements.js";

/** How long people look neutral. */
const SECONDS = 3;

/** Asks for a neutral look, says how far it is, and undoes it. */
export class NeutralLook {
  #button = byId("neutral", HTMLButtonElement);
  #says = byId("neutral-says");
  /** Whether a look was asked for and not taken back. */
  #isOn = false;
  /** Time of the first frame that a running look covers. @type {number | undefined} */
  #fromMs;

  /** @param {(options: { seconds: number } | null) => Promise<boolean>} calibrate gives whether it was begun or undone */
  constructor(calibrate) {
    this.#button.addEventListener("click", async () => {
      const isOn = !this.#isOn;
      if (!(await calibrate(isOn ? { seconds: SECONDS } : null))) return;
      this.#isOn = isOn;
      this.#fromMs = undefined;
    });
  }

  /** The model is another one: it knows of no neutral look. */
  forget() {
    this.#isOn = false;
  }

  /**
   * @param {{
   *   showing: import("./sources.js").Showing,
   *   latest: import("./session.js").AnyReport | undefined,
   * }} seen
   * @param {boolean} isLoaded
   */
  show({ showing, latest }, isLoaded) {
    const isMoving = showing !== "nothing" && showing !== "still";
    this.#button.disabled = !isLoaded || !isMoving;
    setText(this.#button, this.#isOn ? "Forget the neutral look" : "Set the neutral look");
    setText(this.#says, this.#isOn && isMoving ? this.#describe(latest) : "takes off what a face shows at rest");
  }

  /** @param {import("./session.js").AnyReport | undefined} latest */
  #describe(latest) {
    if (!latest) return "waiting for a face";
    // A stream that began anew begins the look anew.
    if (this.#fromMs === undefined || latest.restarted || latest.time_ms < this.#fromMs) this.#fromMs = latest.time_ms;
    const left = Math.ceil(SECONDS - (latest.time_ms - this.#fromMs) / 1000);
    if (left > 0) return `look neutral: ${left} s`;
    const { faces } = latest;
    const measured = faces.filter(({ baseline }) => baseline).length;
    if (measured === 0) return faces.length > 0 ? "this face was not seen looking neutral: set it again" : "waiting for a face";
    return faces.length > 1 ? `${measured} of ${faces.length} faces are measured from it` : "the face is measured from it";
  }
}
