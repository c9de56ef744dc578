// @ts-check
// Rows of a name, a bar and a number.

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
  root = element("ul", "bars");
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
      if (row.note.textContent !== note) row.note.textContent = note;
    });
  }
}

/** @param {Row} row */
function makeRow({ key, name, words }) {
  const root = element("li");
  root.dataset.key = key;
  const title = element("span", "name");
  title.append(name);
  if (words) title.append(" ", element("small", "", words));
  const track = element("span", "track");
  const bar = element("span", "fill");
  track.append(bar);
  const value = element("span", "value");
  const note = element("small", "note");
  root.append(title, track, value, note);
  return { root, bar, value, note };
}

/**
 * @param {string} tag
 * @param {string} [className]
 * @param {string} [text]
 */
export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}
