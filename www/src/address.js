// @ts-check
// The page's settings in its address: a link to them shows the page as it is now.

/**
 * @typedef {import("affectlens").Settings} Settings
 * @typedef {{ least: number, most: number, step: number }} Range
 * @typedef {{ [name: string]: Range | "switch" }} Controls the settings that an address may hold
 * @typedef {{ [name: string]: readonly string[] }} Choices what else it may hold
 * @typedef {{ settings: Partial<Settings>, choices: { [name: string]: string }, bad: string[] }} Address `bad`: what was not
 *   understood, as it stands in the address
 */

/** Of a value that is told to the visitor, characters. */
const MOST_TOLD = 40;
/** Numbers this near a step of their slider are on it. */
const NEAR = 1e-9;

/**
 * What an address asks for. Values that are not understood are left out and told; parameters of other names are nothing of ours.
 *
 * @param {URLSearchParams} query
 * @param {Controls} controls
 * @param {Choices} choices
 * @returns {Address}
 */
export function readAddress(query, controls, choices) {
  /** @type {Record<string, number | boolean>} */
  const settings = {};
  /** @type {Record<string, string>} */
  const chosen = {};
  /** @type {string[]} */
  const bad = [];
  for (const [name, text] of query) {
    const control = Object.hasOwn(controls, name) ? controls[name] : undefined;
    const value = control && valueOf(text, control);
    if (value !== undefined) settings[name] = value;
    else if (Object.hasOwn(choices, name) && choices[name].includes(text)) chosen[name] = text;
    else if (control || Object.hasOwn(choices, name)) bad.push(`${name}=${text}`.slice(0, MOST_TOLD));
  }
  return { settings: /** @type {Partial<Settings>} */ (settings), choices: chosen, bad };
}

/**
 * An address with these settings and choices and no others of ours.
 *
 * @param {string} address
 * @param {Controls} controls
 * @param {Partial<Settings>} settings those that are not the defaults
 * @param {{ [name: string]: string | undefined }} choices nothing for the default
 */
export function writeAddress(address, controls, settings, choices) {
  const url = new URL(address);
  const values = /** @type {Record<string, number | boolean | undefined>} */ (settings);
  for (const name of Object.keys(controls)) put(url, name, values[name] === undefined ? undefined : String(Number(values[name])));
  for (const [name, value] of Object.entries(choices)) put(url, name, value);
  return url.href;
}

/**
 * @param {URL} url
 * @param {string} name
 * @param {string | undefined} value
 */
function put(url, name, value) {
  if (value === undefined) url.searchParams.delete(name);
  else url.searchParams.set(name, value);
}

/**
 * @param {string} text
 * @param {Range | "switch"} control
 * @returns {number | boolean | undefined} nothing for what it does not take
 */
function valueOf(text, control) {
  if (control === "switch") return text === "1" ? true : text === "0" ? false : undefined;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  const { least, most, step } = control;
  const steps = (value - least) / step;
  return value >= least && value <= most && Math.abs(steps - Math.round(steps)) < NEAR ? value : undefined;
}
