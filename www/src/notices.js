// @ts-check
// What the page tells its visitor in words: what is wrong, and, for screen readers, what is on the picture.

import { byId } from "./elements.js";
import { percent } from "./format.js";
import { isViolent } from "./stretches.js";

/** @typedef {"address" | "model" | "source" | "sound" | "look"} Subject `look` is the analysis of a frame */

/** The notice over the picture: at most one problem for each subject, oldest first. */
export class Notices {
  #notice = byId("notice");
  /** @type {Map<Subject, { message: string, state: string }>} */
  #problems = new Map();

  /** The oldest problem in one word; empty where there is none. */
  get state() {
    const [first] = this.#problems.values();
    return first?.state ?? "";
  }

  /**
   * @param {Subject} subject
   * @param {string} message
   * @param {string} [state] the problem in one word
   */
  report(subject, message, state = subject) {
    this.#problems.set(subject, { message, state });
    this.#show();
  }

  /** @param {Subject} subject whose problem is over */
  clear(subject) {
    if (this.#problems.delete(subject)) this.#show();
  }

  #show() {
    const messages = [...this.#problems.values()].map(({ message }) => message);
    this.#notice.textContent = messages.join(" ");
    this.#notice.hidden = messages.length === 0;
  }
}

/**
 * The latest report in a sentence or two. The probability of violence is left out: it would be read out anew every few
 * seconds, while the classification seldom changes.
 *
 * @param {{
 *   showing: import("./sources.js").Showing,
 *   latest: import("./session.js").AnyReport | undefined,
 *   threshold: number,
 * }} seen `threshold` of violence
 */
export function describeAloud({ showing, latest, threshold }) {
  if (showing === "nothing") return "";
  const faces = latest?.faces.map(({ id, expression }) =>
    expression ? `Face ${id}: ${expression.label}, ${percent(expression.confidence)}` : `Face ${id}`,
  );
  const people = latest?.people && describeCount(latest.people.length);
  const probability = latest?.violence?.probability;
  const isMarked = probability !== undefined && isViolent(probability, threshold);
  return [faces?.join(". ") || "No face", ...(people ? [people] : []), ...(isMarked ? ["Classified as violent"] : [])].join(". ");
}

/** @param {number} people */
function describeCount(people) {
  if (people === 0) return "Nobody";
  return people === 1 ? "1 person" : `${people} people`;
}

/** @param {unknown} error */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
