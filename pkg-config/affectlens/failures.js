// @ts-check
// Which failures of a lens pass by themselves, while something goes on asking it.

import { AffectLensError } from "./errors.js";

/** After one of these the next call may succeed: the model is started anew, or there is another picture. */
const PASSING = ["device-lost", "device-failed", "crashed", "picture-empty"];
/** So many failures one after the other do not pass. */
const MOST_FAILURES = 3;

/** The failures since the last success. */
export class Failures {
  #count = 0;

  forget() {
    this.#count = 0;
  }

  /**
   * Counts a failure; tells whether to give up.
   *
   * @param {unknown} error
   */
  isLast(error) {
    this.#count += 1;
    const code = error instanceof AffectLensError ? error.code : "";
    return !PASSING.includes(code) || this.#count >= MOST_FAILURES;
  }
}
