// @ts-check
// The views of the timeline.

import { percent, signed, strength } from "./format.js";
import { actionUnitNames, byNumber, expressionNames } from "./names.js";
import { describeStretches, finalUpTo, goesOn, stretchesAbove } from "./stretches.js";
import { UNIT_WORDS } from "./units.js";

/**
 * @typedef {import("./log.js").KeptReport} KeptReport
 * @typedef {import("affectlens").FaceReport} FaceReport
 * @typedef {{ key: string, label: string, colour: string }} Line `colour` is a custom property without its dashes
 * @typedef {{ level: number, stretches: import("./stretches.js").Stretch[], finalMs: number | undefined }} Marks a level
 *   across the chart, the stretches that reach it, and the time up to which values are final
 * @typedef {{
 *   range: [number, number],
 *   text: (value: number) => string,
 *   lines: (reports: readonly KeptReport[], face: number | undefined) => Line[],
 *   value: (report: KeptReport, face: FaceReport | undefined, key: string) => number | undefined,
 *   scene?: Scene,
 * }} View
 * @typedef {{
 *   isKnown: (report: KeptReport) => boolean,
 *   marks: (reports: readonly KeptReport[], threshold: number) => Marks,
 *   describe: (reports: readonly KeptReport[], threshold: number) => string,
 * }} Scene what a view of whole pictures has besides; some reports have no value for it
 * @typedef {"expressions" | "valence-arousal" | "action-units" | "violence"} ViewName
 */

/** More lines of action units cannot be told apart. */
const MOST_UNITS = 6;

/** @type {Record<ViewName, View>} */
export const VIEWS = {
  expressions: {
    range: [0, 1],
    text: percent,
    lines: (reports) => expressionNames(reports.slice(-50)).map((name) => ({ key: name, label: name, colour: name })),
    value: (_, face, name) => face?.expression?.probabilities[/** @type {import("affectlens").ExpressionName} */ (name)],
  },
  "valence-arousal": {
    range: [-1, 1],
    text: signed,
    lines: () => ["valence", "arousal"].map((name) => ({ key: name, label: name, colour: name })),
    value: (_, face, name) => (name === "valence" ? face?.valence : face?.arousal),
  },
  "action-units": {
    range: [0, 1],
    text: strength,
    lines: (reports, face) =>
      strongestUnits(reports, face, MOST_UNITS).map((name, index) => ({
        key: name,
        label: `${name} ${UNIT_WORDS[name]}`,
        colour: `unit-${index + 1}`,
      })),
    value: (_, face, name) => face?.action_units?.[/** @type {import("affectlens").ActionUnitName} */ (name)],
  },
  violence: {
    range: [0, 1],
    text: percent,
    lines: () => [{ key: "violence", label: "violence", colour: "violence" }],
    value: ({ violence }) => violence?.probability,
    scene: {
      isKnown: ({ violence }) => violence !== undefined,
      marks: (reports, threshold) => ({
        level: threshold,
        stretches: stretchesAbove(reports, threshold),
        finalMs: finalUpTo(reports),
      }),
      describe: describeStretches,
    },
  },
};

/**
 * The points of a chart. Where nothing was analysed for a while or a new stream began, a point without a report breaks its
 * lines.
 *
 * @param {readonly KeptReport[]} reports
 * @returns {{ seconds: number, report?: KeptReport }[]}
 */
export function pointsOf(reports) {
  return reports.flatMap((report, index) => {
    const before = reports[index - 1];
    const point = { seconds: report.time_ms / 1000, report };
    if (!before || goesOn(before, report)) return [point];
    return [{ seconds: (before.time_ms + report.time_ms) / 2000 }, point];
  });
}

/**
 * The action units of a face that are strongest on average, by ascending number.
 *
 * @param {readonly KeptReport[]} reports
 * @param {number | undefined} id of the face
 * @param {number} count of units at most
 */
export function strongestUnits(reports, id, count) {
  const found = reports.flatMap(({ faces }) => faces.filter((face) => face.id === id));
  const strengthOf = (/** @type {import("affectlens").ActionUnitName} */ name) =>
    found.reduce((sum, { action_units: strengths }) => sum + (strengths?.[name] ?? 0), 0);
  return actionUnitNames([{ frame: 0, time_ms: 0, faces: found }])
    .map((name) => ({ name, total: strengthOf(name) }))
    .sort((one, other) => other.total - one.total)
    .slice(0, count)
    .map(({ name }) => name)
    .sort(byNumber);
}
