// @ts-check
// The expressions and action units that occur in reports, each in its own order.

/** @typedef {import("./log.js").KeptReport} KeptReport */

/**
 * Every expression in any report, in the order of first appearance.
 *
 * @param {readonly KeptReport[]} reports
 */
export function expressionNames(reports) {
  const names = new Set();
  for (const { faces } of reports) {
    for (const { expression } of faces) for (const name of Object.keys(expression?.probabilities ?? {})) names.add(name);
  }
  return /** @type {import("affectlens").ExpressionName[]} */ ([...names]);
}

/**
 * Every action unit in any report, by ascending number.
 *
 * @param {readonly KeptReport[]} reports
 */
export function actionUnitNames(reports) {
  const names = new Set();
  for (const { faces } of reports) {
    for (const face of faces) for (const name of Object.keys(face.action_units ?? {})) names.add(name);
  }
  return /** @type {import("affectlens").ActionUnitName[]} */ ([...names].sort(byNumber));
}

/**
 * Orders names of action units by their number: AU2 stands before AU10.
 *
 * @param {string} one
 * @param {string} other
 */
export function byNumber(one, other) {
  return Number(one.slice(2)) - Number(other.slice(2));
}
