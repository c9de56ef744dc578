// @ts-check
// The cards beside the picture, one for each face.

import { Bars } from "./bars.js";
import { makeElement } from "./elements.js";
import { percent } from "./format.js";

/** The classifier that decided. */
const SOURCES = { head: "adapted head", pretrained: "pretrained classifier", blend: "picture and the voice together" };

/** Cards that follow the faces of the latest report. */
export class FaceCards {
  #holder;
  /** @type {Map<number, ReturnType<typeof makeCard>>} */
  #cards = new Map();
  #onChoose;
  /** @type {number | undefined} */
  chosen;

  /**
   * @param {HTMLElement} holder
   * @param {(id: number) => void} onChoose
   */
  constructor(holder, onChoose) {
    this.#holder = holder;
    this.#onChoose = onChoose;
  }

  /** @param {readonly import("affectlens").FaceReport[]} faces */
  show(faces) {
    for (const [id, card] of this.#cards) {
      if (faces.some((face) => face.id === id)) continue;
      card.root.remove();
      this.#cards.delete(id);
    }
    if (faces.length > 0 && !faces.some(({ id }) => id === this.chosen)) this.#choose(faces[0].id);
    for (const face of faces) {
      let card = this.#cards.get(face.id);
      if (!card) {
        card = makeCard(face.id, () => this.#choose(face.id));
        this.#cards.set(face.id, card);
        this.#holder.append(card.root);
      }
      card.radio.checked = face.id === this.chosen;
      card.show(face);
    }
    this.#holder.classList.toggle("single", faces.length < 2);
  }

  clear() {
    this.show([]);
    this.chosen = undefined;
  }

  /** @param {number} id */
  #choose(id) {
    this.chosen = id;
    this.#onChoose(id);
  }
}

/**
 * @param {number} id
 * @param {() => void} onChoose
 */
function makeCard(id, onChoose) {
  const root = makeElement("article", "face");
  const radio = Object.assign(document.createElement("input"), { type: "radio", name: "face", value: String(id) });
  radio.addEventListener("change", onChoose);
  const pick = makeElement("label", "pick");
  pick.append(radio, `Face ${id}`);
  const label = makeElement("strong", "label");
  const confidence = makeElement("span", "confidence");
  const source = makeElement("span", "source");
  const head = makeElement("header");
  head.append(pick, label, confidence, source);
  const bars = new Bars();
  root.append(head, bars.root);

  /** @param {import("affectlens").FaceReport} face */
  function show({ expression }) {
    label.textContent = expression?.label ?? "no expression";
    confidence.textContent = expression ? percent(expression.confidence) : "";
    source.textContent = expression ? `decided by the ${SOURCES[expression.source]}` : "";
    const shares = Object.entries(expression?.probabilities ?? {});
    bars.show(
      shares.map(([name, share]) => ({ key: name, name, share, text: percent(share), isMarked: name === expression?.label })),
    );
  }

  return { root, radio, show };
}
