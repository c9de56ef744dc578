// @ts-check
// Settings in both spellings: grouped by part, as the module takes them, and flat.

import { AffectLensError, badArgument } from "./errors.js";
import { CONTROLS } from "./names.js";

/**
 * @typedef {import("./names.js").Control} Control
 * @typedef {import("./messages.js").GroupedSettings} GroupedSettings
 * @typedef {import("./messages.js").GroupedChange} GroupedChange
 */

const PARTS = [...new Set(CONTROLS.map(({ part }) => part))];

/** The settings in force: flat as own fields, so that a copy holds each once, and grouped by part. */
export class SettingsInForce {
  #grouped;

  /** @param {GroupedSettings} grouped */
  constructor(grouped) {
    this.#grouped = grouped;
    const valueOf = (/** @type {Control} */ { part, name }) => /** @type {any} */ (grouped[part])[name];
    Object.assign(this, Object.fromEntries(CONTROLS.map((control) => [control.flat, valueOf(control)])));
  }

  get faces() {
    return { ...this.#grouped.faces };
  }

  get violence() {
    return { ...this.#grouped.violence };
  }
}

/**
 * Checks changes in either spelling, and groups them by part.
 *
 * @param {unknown} settings
 * @returns {GroupedChange}
 */
export function readChange(settings) {
  if (typeof settings !== "object" || settings === null) throw badArgument("settings", settings, "an object");
  /** @type {Record<string, Record<string, unknown>>} */
  const change = {};
  /** @type {Map<Control, string>} how the caller named each setting */
  const given = new Map();
  const take = (/** @type {Control} */ control, /** @type {string} */ name, /** @type {unknown} */ value) => {
    const other = given.get(control);
    if (other !== undefined) throw new AffectLensError("bad-argument", `${name} is the same setting as ${other}, expected one of them`);
    if (!accepts(control, value)) throw badArgument(name, value, control.expected);
    given.set(control, name);
    (change[control.part] ??= {})[control.name] = value;
  };
  for (const [name, value] of Object.entries(settings)) {
    const part = PARTS.find((part) => part === name);
    if (part) {
      takePart(part, value, take);
      continue;
    }
    const control = CONTROLS.find(({ flat }) => flat === name);
    if (!control) throw badArgument("settings", name, `one of ${[...PARTS, ...CONTROLS.map(({ flat }) => flat)].join(", ")}`);
    take(control, name, value);
  }
  return /** @type {any} */ (change);
}

/**
 * @param {Control["part"]} part
 * @param {unknown} group
 * @param {(control: Control, name: string, value: unknown) => void} take
 */
function takePart(part, group, take) {
  if (typeof group !== "object" || group === null) throw badArgument(part, group, "an object");
  const controls = CONTROLS.filter((control) => control.part === part);
  for (const [name, value] of Object.entries(group)) {
    const control = controls.find((control) => control.name === name);
    if (!control) throw badArgument(part, name, `one of ${controls.map(({ name }) => name).join(", ")}`);
    take(control, `${part}.${name}`, value);
  }
}

/**
 * @param {Control} control
 * @param {unknown} value
 */
function accepts(control, value) {
  if (control.type === "boolean") return typeof value === "boolean";
  if (typeof value !== "number" || !(value >= control.least && value <= control.most)) return false;
  return control.type === "number" || Number.isInteger(value);
}
