// @ts-check
// The action units of one face, each with its name in words.

import { Bars } from "./bars.js";
import { partOf, setText } from "./elements.js";
import { strength } from "./format.js";
import { byNumber } from "./names.js";

/**
 * @typedef {import("affectlens").FaceReport} FaceReport
 * @typedef {import("affectlens").ActionUnitName} ActionUnitName
 */

/** Names of the Facial Action Coding System (Ekman, Friesen, Hager 2002). @type {Record<ActionUnitName, string>} */
export const UNIT_WORDS = {
  AU1: "inner brow raiser",
  AU2: "outer brow raiser",
  AU4: "brow lowerer",
  AU5: "upper lid raiser",
  AU6: "cheek raiser",
  AU7: "lid tightener",
  AU10: "upper lip raiser",
  AU12: "lip corner puller",
  AU14: "dimpler",
  AU15: "lip corner depressor",
  AU17: "chin raiser",
  AU20: "lip stretcher",
  AU23: "lip tightener",
  AU24: "lip pressor",
  AU25: "lips part",
  AU26: "jaw drop",
  AU28: "lip suck",
  AU45: "blink",
};

/** The blendshapes that a proxy is computed from. @type {{ [name in ActionUnitName]?: string }} */
const PROXY_WORDS = { AU6: "smile × eye squint" };

/** Where the numbers come from. */
const SOURCES = {
  blendshapes: "Computed from a face mesh (blendshapes), not calibrated against human coders.",
  head: "Predicted by a head that was trained on action units.",
};

/** The panel of action units. */
export class ActionUnitPanel {
  #source;
  #bars = new Bars();
  /** The units of the last face; before the first one, all that have names. */
  #names = /** @type {ActionUnitName[]} */ (Object.keys(UNIT_WORDS));

  /** @param {HTMLElement} panel */
  constructor(panel) {
    this.#source = partOf(panel, "source");
    this.#bars.root.classList.add("units");
    panel.append(this.#bars.root);
  }

  /** @param {FaceReport | undefined} face */
  show(face) {
    const { source, rows } = describeUnits(face);
    if (rows.length > 0) this.#names = rows.map(({ name }) => /** @type {ActionUnitName} */ (name));
    setText(this.#source, source);
    this.#bars.show(rows.length > 0 ? rows : this.#names.map(emptyRow));
  }
}

/**
 * The row of a unit while there is no face: the panel keeps its height.
 *
 * @param {ActionUnitName} name
 * @returns {import("./bars.js").Row}
 */
function emptyRow(name) {
  return { key: name, name, words: UNIT_WORDS[name], share: 0, text: "–" };
}

/**
 * The panel's text and rows for a face.
 *
 * @param {FaceReport | undefined} face
 * @returns {{ source: string, rows: import("./bars.js").Row[] }} `source`: where the numbers come from
 */
export function describeUnits(face) {
  if (!face) return { source: "No face yet.", rows: [] };
  const { action_units: strengths, sources } = face;
  if (!strengths) return { source: "No mesh found on this face.", rows: [] };
  const { source, proxies = [], present = [] } = sources?.action_units ?? {};
  const units = /** @type {[ActionUnitName, number][]} */ (Object.entries(strengths));
  const rows = units
    .sort(([one], [other]) => byNumber(one, other))
    .map(([name, value]) => {
      const proxy = proxies.includes(name) ? `stands for: ${PROXY_WORDS[name] ?? "other units"}` : "";
      const isMarked = present.includes(name);
      const note = [isMarked ? "present" : "", proxy].filter(Boolean).join(", ");
      return { key: name, name, words: UNIT_WORDS[name], note, share: value, text: strength(value), isMarked };
    });
  return { source: source ? SOURCES[source] : "", rows };
}
