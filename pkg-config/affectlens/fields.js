// @ts-check
// Checks objects of options: each has names that are known, and values of their kinds.

import { badArgument, tagOf } from "./errors.js";

/** @typedef {{ expected: string, accepts: (value: unknown) => boolean }} Field what a value has to be */

/** @type {Field} */
export const A_FUNCTION = { expected: "a function", accepts: (value) => typeof value === "function" };
/** @type {Field} */
export const A_BOOLEAN = { expected: "a boolean", accepts: (value) => typeof value === "boolean" };
/** @type {Field} */
export const A_SIGNAL = { expected: "an AbortSignal", accepts: (value) => tagOf(value) === "AbortSignal" };
/** @type {Field} */
export const A_TEXT = { expected: "a text that is not empty", accepts: (value) => typeof value === "string" && value !== "" };
/** Judged by whoever reads it. @type {Field} */
export const ANYTHING = { expected: "anything", accepts: () => true };

/**
 * @param {readonly string[]} values
 * @returns {Field}
 */
export function oneOf(values) {
  return { expected: `one of ${values.join(", ")}`, accepts: (value) => values.includes(/** @type {string} */ (value)) };
}

/**
 * @param {string} expected
 * @param {(value: number) => boolean} accepts
 * @returns {Field}
 */
export function aNumber(expected, accepts) {
  return { expected, accepts: (value) => typeof value === "number" && accepts(value) };
}

/**
 * @param {number} least
 * @param {number} most
 * @returns {Field}
 */
export function wholeNumber(least, most) {
  return aNumber(`a whole number from ${least} to ${most}`, (value) => Number.isInteger(value) && value >= least && value <= most);
}

/**
 * Gives options back once they are found to be right; what is `undefined` counts as left out.
 *
 * @template {object} Options
 * @param {Options} options
 * @param {Readonly<Record<string, Field>>} fields
 * @param {string} [object] what the options have to be themselves
 * @returns {Options}
 */
export function readFields(options, fields, object = "an object") {
  if (typeof options !== "object" || options === null || Array.isArray(options)) throw badArgument("options", options, object);
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(fields, name)) throw badArgument("options", name, `one of ${Object.keys(fields).join(", ")}`);
    if (value !== undefined && !fields[name].accepts(value)) throw badArgument(name, value, fields[name].expected);
  }
  return options;
}
