// @ts-check
// Valence and arousal as a point in a square, with the trail that leads to it.

import { partOf } from "./elements.js";
import { signed } from "./format.js";
import { goesOn } from "./stretches.js";

/**
 * @typedef {import("./log.js").KeptReport} KeptReport
 * @typedef {import("affectlens").FaceReport} FaceReport
 * @typedef {{ x: number, y: number }} Place units of the drawing
 */

/** Side of the square in the drawing; see its `viewBox`. */
const SIDE = 300;
/** The length of a trail. */
export const TRAIL_MS = 4000;
/** Where the numbers come from. */
const SOURCES = {
  derived: "Derived from the expressions: no model was trained on it.",
  backbone: "Predicted by the face network itself, which was trained on it.",
  head: "Predicted by a head that was trained on it.",
};

/** The panel of valence and arousal. */
export class ValenceArousalPanel {
  #trail;
  #places;
  #valence;
  #arousal;
  #source;

  /** @param {HTMLElement} panel */
  constructor(panel) {
    this.#trail = partOf(panel, "trail", SVGElement);
    this.#places = partOf(panel, "places", SVGElement);
    this.#valence = partOf(panel, "valence");
    this.#arousal = partOf(panel, "arousal");
    this.#source = partOf(panel, "source");
  }

  /**
   * @param {readonly FaceReport[]} faces
   * @param {number | undefined} chosen id of the face whose numbers are shown
   * @param {readonly Step[]} trail
   */
  show(faces, chosen, trail) {
    this.#trail.replaceChildren(
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
    this.#places.replaceChildren(
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
    this.#valence.textContent = face?.valence === undefined ? "–" : signed(face.valence);
    this.#arousal.textContent = face?.arousal === undefined ? "–" : signed(face.arousal);
    this.#source.textContent = sourceOf(face);
  }
}

/** @param {FaceReport | undefined} face */
function sourceOf(face) {
  if (!face) return "No face yet.";
  const source = face.sources?.valence_arousal?.source;
  return source ? SOURCES[source] : "No valence and arousal for this face.";
}

/** @typedef {{ from: Place, to: Place, age: number }} Step `age` goes from 0, now, to 1, the trail's end */

/**
 * The path of a face through the square up to a time, oldest step first; broken where the face was lost or a new stream began.
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
  for (const [index, report] of reports.entries()) {
    if (index > 0 && !goesOn(reports[index - 1], report)) from = undefined;
    const { time_ms, faces } = report;
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
