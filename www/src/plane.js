// @ts-check
// Valence and arousal as a point in a square, with the way it came.

import { signed } from "./format.js";

/**
 * @typedef {import("./log.js").KeptReport} KeptReport
 * @typedef {import("affectlens").FaceReport} FaceReport
 * @typedef {{ x: number, y: number }} Place units of the drawing
 */

/** Side of the square in the drawing; see its `viewBox`. */
const SIDE = 300;
/** How long a trail is. */
export const TRAIL_MS = 4000;
/** Says where the numbers come from, in the user's words. */
const SOURCES = {
  derived: "Derived from the expressions: no model was trained on it.",
  backbone: "Said by the face network itself, which was trained on it.",
  head: "Said by a head that was trained on it.",
};

/** The panel of valence and arousal. */
export class ValenceArousalPanel {
  #part;

  /** @param {HTMLElement} panel */
  constructor(panel) {
    this.#part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (panel.querySelector(`[data-part="${name}"]`));
  }

  /**
   * @param {readonly FaceReport[]} faces
   * @param {number | undefined} chosen id of the face whose numbers are told
   * @param {readonly Step[]} trail
   */
  show(faces, chosen, trail) {
    this.#part("trail").replaceChildren(
      ...trail.map(({ from, to, age }) =>
        draw("line", { x1: from.x, y1: from.y, x2: to.x, y2: to.y, opacity: (1 - age).toFixed(2) }),
      ),
    );
    const places = faces.flatMap((face) => {
      const place = placeOf(face);
      return place ? [{ id: face.id, ...place }] : [];
    });
    // The chosen one last, above the others.
    places.sort((one, other) => Number(one.id === chosen) - Number(other.id === chosen));
    this.#part("places").replaceChildren(
      ...places.flatMap(({ id, x, y }) => {
        const kind = id === chosen ? "chosen" : "other";
        const dot = draw("circle", { class: kind, cx: x, cy: y, r: id === chosen ? 8 : 6 });
        if (faces.length < 2) return [dot];
        const isRight = x > SIDE - 40;
        const label = draw("text", { class: kind, x: isRight ? x - 11 : x + 11, y: y + 4, "text-anchor": isRight ? "end" : "start" });
        label.textContent = `#${id}`;
        return [dot, label];
      }),
    );
    const face = faces.find(({ id }) => id === chosen);
    this.#part("valence").textContent = face?.valence === undefined ? "–" : signed(face.valence);
    this.#part("arousal").textContent = face?.arousal === undefined ? "–" : signed(face.arousal);
    this.#part("source").textContent = sourceOf(face);
  }
}

/** @param {FaceReport | undefined} face */
function sourceOf(face) {
  if (!face) return "No face yet.";
  const source = face.sources?.valence_arousal?.source;
  return source ? SOURCES[source] : "Nothing is said about this face.";
}

/** @typedef {{ from: Place, to: Place, age: number }} Step `age` goes from 0, now, to 1, the trail's end */

/**
 * The way of a face through the square up to a time, oldest step first. Where the face was lost the way is broken.
 *
 * @param {readonly KeptReport[]} reports of the last `TRAIL_MS` before `endMs`
 * @param {number | undefined} id
 * @param {number} endMs
 * @returns {Step[]}
 */
export function trailOf(reports, id, endMs) {
  /** @type {Step[]} */
  const steps = [];
  /** @type {Place | undefined} */
  let from;
  for (const { time_ms, faces } of reports) {
    const to = placeOf(faces.find((face) => face.id === id));
    if (from && to) steps.push({ from, to, age: (endMs - time_ms) / TRAIL_MS });
    from = to;
  }
  return steps;
}

/**
 * Pleasant is right, excited is up.
 *
 * @param {FaceReport | undefined} face
 * @returns {Place | undefined}
 */
export function placeOf(face) {
  if (face?.valence === undefined || face.arousal === undefined) return undefined;
  return { x: ((1 + face.valence) / 2) * SIDE, y: ((1 - face.arousal) / 2) * SIDE };
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 */
function draw(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}
