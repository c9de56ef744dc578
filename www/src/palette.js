// @ts-check
// Colours and dashes, from the style sheet, so that they follow light and dark.

/** A second mark beside the colour: line dashes, in CSS pixels. */
const DASHES = [[], [8, 4], [2, 3], [12, 4, 2, 4], [5, 5], [14, 5], [2, 6], [8, 3, 2, 3, 2, 3], [4, 2]];

/**
 * @param {string} name custom property without the dashes
 * @returns {string}
 */
export function colour(name) {
  const style = getComputedStyle(document.documentElement);
  return style.getPropertyValue(`--${name}`).trim() || style.getPropertyValue("--ink").trim();
}

/** @param {number} index */
export function dash(index) {
  return DASHES[index % DASHES.length];
}

/** @param {() => void} onChange called when the page turns dark or light */
export function onSchemeChange(onChange) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
}
