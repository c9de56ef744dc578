// @ts-check
// The panel of people: for each one which joints are seen, and where, in words and numbers.

import { KEYPOINTS } from "affectlens";

import { byId, makeElement, setText } from "./elements.js";
import { percent } from "./format.js";

/** @typedef {import("affectlens").PersonReport} PersonReport */

/** Points that are less likely to be seen are guesses; the picture leaves them out too. */
const SEEN = 0.5;
/** Joints of both sides, from the top down, as their points are called. */
const JOINTS = ["shoulder", "elbow", "wrist", "hip", "knee", "ankle"];
const SIDES = /** @type {const} */ (["left", "right"]);

/** Tables that follow the people of the latest report. */
export class PeoplePanel {
  #panel;
  #none = byId("no-people");
  #list = byId("people-list");
  /** @type {Map<number, ReturnType<typeof makeTable>>} */
  #tables = new Map();

  /** @param {HTMLElement} panel */
  constructor(panel) {
    this.#panel = panel;
  }

  /** @param {readonly PersonReport[] | undefined} people nothing where they are not looked for, or nothing is known yet */
  show(people) {
    for (const [id, table] of this.#tables) {
      if (people?.some((person) => person.id === id)) continue;
      table.root.remove();
      this.#tables.delete(id);
    }
    for (const person of people ?? []) {
      let table = this.#tables.get(person.id);
      if (!table) {
        table = makeTable();
        this.#tables.set(person.id, table);
        this.#list.append(table.root);
      }
      table.show(person);
    }
    this.#none.hidden = Boolean(people?.length);
  }

  /** @param {boolean} isWanted whether people are looked for */
  set isWanted(isWanted) {
    this.#panel.hidden = !isWanted;
  }
}

/** A table of joints, left and right. */
function makeTable() {
  const root = makeElement("table", "joints");
  const caption = makeElement("caption");
  const head = makeElement("thead");
  head.append(makeRow("th", ["joint", ...SIDES.map((side) => `the person's ${side}`)], "col"));
  const body = makeElement("tbody");
  const rows = JOINTS.map((joint) => {
    const cells = SIDES.map(() => makeElement("td"));
    const row = makeRow("th", [joint], "row");
    row.append(...cells);
    body.append(row);
    return cells;
  });
  root.append(caption, head, body);

  /** @param {PersonReport} person */
  function show(person) {
    setText(caption, describePerson(person));
    JOINTS.forEach((joint, row) => {
      SIDES.forEach((side, column) => setText(rows[row][column], describeJoint(person, `${side}_${joint}`)));
    });
  }

  return { root, show };
}

/**
 * @param {string} tag of the cells
 * @param {readonly string[]} texts
 * @param {"row" | "col"} scope
 */
function makeRow(tag, texts, scope) {
  const row = makeElement("tr");
  for (const text of texts) {
    const cell = makeElement(tag, undefined, text);
    cell.setAttribute("scope", scope);
    row.append(cell);
  }
  return row;
}

/**
 * A person in a line.
 *
 * @param {PersonReport} person
 */
export function describePerson({ id, score, keypoints }) {
  const seen = keypoints.filter(([, , , visibility]) => visibility >= SEEN).length;
  return `Person ${id}: ${percent(score)} sure, ${seen} of ${keypoints.length} points seen`;
}

/**
 * Where a joint is, in pixels of the picture.
 *
 * @param {PersonReport} person
 * @param {string} name
 */
export function describeJoint({ keypoints }, name) {
  const [x, y, , visibility] = keypoints[/** @type {readonly string[]} */ (KEYPOINTS).indexOf(name)];
  return visibility >= SEEN ? `${Math.round(x)}, ${Math.round(y)}` : "not seen";
}
