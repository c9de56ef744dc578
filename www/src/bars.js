// @ts-check
// Rows of a name, a bar and a number.

import { makeElement, setText } from "./elements.js";

/**
 * @typedef {{
 *   key: string,
 *   name: string,
 *   words?: string,
 *   note?: string,
 *   share: number,
 *   text: string,
 *   isMarked?: boolean,
 * }} Row `share` is the length of the bar, 0 to 1; `key` also names its colour
 */

/** A list that follows the rows it is given. */
export class Bars {
  root = makeElement("ul", "bars");
  #keys = "";
  /** @type {ReturnType<typeof makeRow>[]} */
  #rows = [];

  /** @param {readonly Row[]} rows */
  show(rows) {
    const keys = rows.map(({ key }) => key).join();
    if (keys !== this.#keys) {
      this.#keys = keys;
      this.#rows = rows.map(makeRow);
      this.root.replaceChildren(...this.#rows.map(({ root }) => root));
    }
    rows.forEach(({ note = "", share, text, isMarked = false }, index) => {
      const row = this.#rows[index];
      row.root.classList.toggle("top", isMarked);
      row.bar.style.setProperty("--share", String(share));
      row.value.textContent = text;
      setText(row.note, note);
    });
  }
}

/** @param {Row} row */
function makeRow({ key, name, words }) {
  const root = makeElement("li");
  root.dataset.key = key;
  const title = makeElement("span", "name");
  title.append(name);
  if (words) title.append(" ", makeElement("small", "", words));
  const track = makeElement("span", "track");
  const bar = makeElement("span", "fill");
  track.append(bar);
  const value = makeElement("span", "value");
  const note = makeElement("small", "note");
  root.append(title, track, value, note);
  return { root, bar, value, note };
}
