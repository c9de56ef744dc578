// @ts-check
// Finding and making elements.

/**
 * The element with an id. The page's own markup has it: anything else is a mistake in the page.
 *
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @param {new () => T} [kind] class of the element
 * @returns {T}
 */
export function byId(id, kind = /** @type {new () => T} */ (HTMLElement)) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`#${id} is ${found?.localName ?? "missing"}, expected ${kind.name}`);
  return found;
}

/**
 * The element in a panel that is marked with `data-part`.
 *
 * @template {Element} [T=HTMLElement]
 * @param {ParentNode} panel
 * @param {string} name
 * @param {new () => T} [kind] class of the element
 * @returns {T}
 */
export function partOf(panel, name, kind = /** @type {new () => T} */ (/** @type {unknown} */ (HTMLElement))) {
  const found = panel.querySelector(`[data-part="${name}"]`);
  if (!(found instanceof kind)) throw new Error(`part ${name} is ${found?.localName ?? "missing"}, expected ${kind.name}`);
  return found;
}

/**
 * @param {string} tag
 * @param {string} [className]
 * @param {string} [text]
 */
export function makeElement(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/**
 * Writes a text where it has changed: a selection in it stays, and a live region is not read out again.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
