// @ts-check
// The faces beside the picture: one of them in full, and where there are several, a line for each to choose it.

import { Bars } from "./bars.js";
import { byId, makeElement, setText } from "./elements.js";
import { percent } from "./format.js";

/** @typedef {import("affectlens").FaceReport} FaceReport */

/** The classifier that decided. */
const SOURCES = { head: "adapted head", pretrained: "pretrained classifier", blend: "picture and the voice together" };

/** The panel that follows the faces of the latest report. */
export class FacesPanel {
  #none = byId("no-faces");
  #count = byId("faces-count");
  #detail = makeDetail();
  #list = makeElement("ul", "face-rows");
  /** @type {Map<number, ReturnType<typeof makeRow>>} */
  #rows = new Map();
  /** Lines that there were at once: their room stays. */
  #most = 0;
  #onChoose;
  /** @type {readonly FaceReport[]} */
  #faces = [];
  /** @type {number | undefined} */
  chosen;

  /**
   * @param {HTMLElement} holder
   * @param {(id: number) => void} onChoose
   */
  constructor(holder, onChoose) {
    this.#onChoose = onChoose;
    this.#detail.root.hidden = true;
    this.#list.setAttribute("aria-label", "Faces to choose from");
    holder.append(this.#detail.root, this.#list);
  }

  /** @param {readonly FaceReport[]} faces */
  show(faces) {
    this.#faces = faces;
    if (faces.length > 0 && !faces.some(({ id }) => id === this.chosen)) this.#choose(faces[0].id);
    const chosen = faces.find(({ id }) => id === this.chosen);
    this.#none.hidden = chosen !== undefined;
    this.#detail.root.hidden = chosen === undefined;
    if (chosen) this.#detail.show(chosen);
    setText(this.#count, faces.length > 1 ? `${faces.length} in the picture` : "");
    this.#showRows(faces.length > 1 ? faces : []);
  }

  /** @param {boolean} isNewSource whether the room of lines is given up too */
  clear(isNewSource) {
    this.chosen = undefined;
    if (isNewSource) this.#most = 0;
    this.show([]);
  }

  /** @param {readonly FaceReport[]} faces */
  #showRows(faces) {
    for (const [id, row] of this.#rows) {
      if (faces.some((face) => face.id === id)) continue;
      row.root.remove();
      this.#rows.delete(id);
    }
    for (const face of faces) {
      let row = this.#rows.get(face.id);
      if (!row) {
        row = makeRow(face.id, () => {
          this.#choose(face.id);
          // A picture brings no other report.
          this.show(this.#faces);
        });
        this.#rows.set(face.id, row);
        this.#list.append(row.root);
      }
      row.show(face, face.id === this.chosen);
    }
    this.#most = Math.max(this.#most, faces.length);
    this.#list.style.setProperty("--most", String(this.#most));
  }

  /** @param {number} id */
  #choose(id) {
    this.chosen = id;
    this.#onChoose(id);
  }
}

/** A face in full: its label, who decided, and a bar for each expression. */
function makeDetail() {
  const root = makeElement("article", "face");
  const name = makeElement("span", "name");
  const label = makeElement("strong", "label");
  const confidence = makeElement("span", "confidence");
  const source = makeElement("span", "source");
  const head = makeElement("header");
  head.append(name, label, confidence, source);
  const bars = new Bars();
  root.append(head, bars.root);

  /** @param {FaceReport} face */
  function show({ id, expression }) {
    setText(name, `Face ${id}`);
    setText(label, expression?.label ?? "no expression");
    setText(confidence, expression ? percent(expression.confidence) : "");
    setText(source, expression ? `decided by the ${SOURCES[expression.source]}` : "");
    const shares = Object.entries(expression?.probabilities ?? {});
    bars.show(
      shares.map(([name, share]) => ({ key: name, name, share, text: percent(share), isMarked: name === expression?.label })),
    );
  }

  return { root, show };
}

/**
 * A face in a line.
 *
 * @param {number} id
 * @param {() => void} onChoose
 */
function makeRow(id, onChoose) {
  const root = makeElement("li");
  const radio = Object.assign(document.createElement("input"), { type: "radio", name: "face", value: String(id) });
  radio.addEventListener("change", onChoose);
  const label = makeElement("span");
  const confidence = makeElement("span", "confidence");
  const line = makeElement("label", "face-row");
  const name = makeElement("span");
  name.append(radio, ` Face ${id}`);
  line.append(name, label, confidence);
  root.append(line);

  /**
   * @param {FaceReport} face
   * @param {boolean} isChosen
   */
  function show({ expression }, isChosen) {
    radio.checked = isChosen;
    setText(label, expression?.label ?? "no expression");
    setText(confidence, expression ? percent(expression.confidence) : "");
  }

  return { root, show };
}
