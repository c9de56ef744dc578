// @ts-check
// The panel that teaches the model the visitor's own face: records expressions, makes a personal head, keeps it.

import { byId, partOf, setText } from "./elements.js";
import { percent } from "./format.js";
import { forgetHead, keepHead, keptHead } from "./kept-head.js";
import { messageOf } from "./notices.js";
import { saveFile } from "./save.js";

/**
 * @typedef {import("affectlens").Lens} Lens
 * @typedef {import("affectlens").ExpressionName} ExpressionName
 * @typedef {{ label: ExpressionName, learnt: number, untilMs: number | undefined }} Recording `untilMs`: from its first picture on
 */

/** How long an expression is recorded. */
const RECORDED_MS = 2000;
/** Pictures without one face after which a recording ends; of a face that is there some are missed. */
const MOST_MISSED = 20;
const FILE_NAME = "affectlens-own-face.safetensors";
/** A file that is no head is not read into memory, whatever its size. */
const MOST_BYTES = 4 << 20;

/** Records, learns, keeps and forgets. */
export class OwnFace {
  #record = [...byId("own-record").querySelectorAll("button")];
  #learn = byId("own-learn", HTMLButtonElement);
  #keep = byId("own-keep", HTMLButtonElement);
  #save = byId("own-save", HTMLButtonElement);
  #load = byId("own-load", HTMLButtonElement);
  #forget = byId("own-forget", HTMLButtonElement);
  #file = byId("own-file", HTMLInputElement);
  #says = byId("own-says");
  /** @type {Lens | undefined} */
  #lens;
  /** @type {import("affectlens").Counts} */
  #counts = {};
  /** @type {Recording | undefined} */
  #recording;
  #missed = 0;
  #isBusy = false;
  /** The head in force. @type {Uint8Array | undefined} */
  #head;

  constructor() {
    for (const button of this.#record) {
      const label = /** @type {ExpressionName} */ (button.value);
      button.addEventListener("click", () => {
        this.#recording = { label, learnt: 0, untilMs: undefined };
        this.#missed = 0;
        this.#say(`Show ${label} to the camera …`);
      });
    }
    this.#learn.addEventListener("click", () => this.#do((lens) => this.#makeHead(lens)));
    this.#keep.addEventListener("click", () => this.#do(() => this.#keepHead()));
    this.#save.addEventListener("click", () => {
      if (this.#head) saveFile(FILE_NAME, new Blob([new Uint8Array(this.#head)]));
    });
    this.#load.addEventListener("click", () => this.#file.click());
    this.#file.addEventListener("change", () => {
      const file = this.#file.files?.[0];
      // The same file may be chosen again.
      if (file) void this.#do((lens) => this.#useFile(lens, file)).then(() => (this.#file.value = ""));
    });
    this.#forget.addEventListener("click", () => this.#do((lens) => this.#forgetAll(lens)));
  }

  /** The model is another one, or will be: faces that were learnt are gone with the old one. */
  leave() {
    this.#lens = undefined;
    this.#counts = {};
    this.#recording = undefined;
  }

  /** @param {Lens} lens gets the head in force before, else the one that is kept in this browser */
  async meet(lens) {
    this.#lens = lens;
    const isKept = this.#head === undefined;
    await this.#do(async () => {
      const head = this.#head ?? (await keptHead());
      if (head) await this.#put(lens, head, isKept ? "The head that is kept in this browser is in force." : "The head is in force.");
    });
  }

  /** Learns from the newest report, while an expression is recorded. */
  async follow() {
    const [lens, recording] = [this.#lens, this.#recording];
    if (!lens || !recording || this.#isBusy) return;
    this.#isBusy = true;
    try {
      this.#counts = await lens.learn(recording.label);
      recording.learnt += 1;
      recording.untilMs ??= performance.now() + RECORDED_MS;
      this.#missed = 0;
    } catch (error) {
      this.#missed += 1;
      if (this.#missed >= MOST_MISSED) {
        this.#recording = undefined;
        this.#say(`Nothing is recorded: ${messageOf(error)}.`);
      }
    } finally {
      this.#isBusy = false;
    }
    if (this.#recording === recording && performance.now() >= (recording.untilMs ?? Infinity)) {
      this.#recording = undefined;
      this.#say(`${recording.label}: ${recording.learnt} pictures recorded.`);
    }
  }

  /** @param {boolean} isMoving whether a camera or clip is open */
  show(isMoving) {
    const isFree = this.#lens !== undefined && !this.#isBusy && !this.#recording;
    const counts = Object.values(this.#counts);
    for (const button of this.#record) {
      // Not while one is recorded: the button that was pressed would lose the focus, and another one may be wanted instead.
      button.disabled = !this.#lens || !isMoving;
      button.setAttribute("aria-pressed", String(this.#recording?.label === button.value));
      setText(partOf(button, "count", HTMLElement), String(this.#counts[/** @type {ExpressionName} */ (button.value)] ?? 0));
    }
    this.#learn.disabled = !isFree || counts.filter((count) => count > 0).length < 2;
    this.#keep.disabled = this.#save.disabled = !this.#head || this.#recording !== undefined;
    this.#load.disabled = !isFree;
    this.#forget.disabled = !isFree || (!this.#head && counts.every((count) => count === 0));
  }

  /** @param {Lens} lens */
  async #makeHead(lens) {
    this.#say("Learning …");
    const { head, before, after } = await lens.personalise();
    this.#head = head;
    const share = (/** @type {number | null} */ value) => (value === null ? "–" : percent(value));
    this.#say(`The head is in force. Of the recorded pictures ${share(before)} are read right without it, ${share(after)} with one made of the others.`);
  }

  async #keepHead() {
    if (!this.#head) return;
    await keepHead(this.#head);
    this.#say("The head is kept in this browser, and put in force when the page is opened again.");
  }

  /**
   * @param {Lens} lens
   * @param {File} file
   */
  async #useFile(lens, file) {
    if (file.size > MOST_BYTES) throw new Error(`${file.name} has ${file.size} bytes, expected at most ${MOST_BYTES}`);
    await this.#put(lens, new Uint8Array(await file.arrayBuffer()), `The head of ${file.name} is in force.`);
  }

  /**
   * @param {Lens} lens
   * @param {Uint8Array} head
   * @param {string} says
   */
  async #put(lens, head, says) {
    await lens.personalise(head);
    this.#head = head;
    this.#say(says);
  }

  /** @param {Lens} lens */
  async #forgetAll(lens) {
    await lens.personalise(null);
    this.#head = undefined;
    this.#counts = {};
    await forgetHead();
    this.#say("Forgotten, here and in this browser.");
  }

  /**
   * One thing after the other; what fails is told.
   *
   * @param {(lens: Lens) => Promise<void>} act
   */
  async #do(act) {
    const lens = this.#lens;
    if (!lens || this.#isBusy) return;
    this.#isBusy = true;
    try {
      await act(lens);
    } catch (error) {
      if (this.#lens === lens) this.#say(`That did not work: ${messageOf(error)}.`);
    } finally {
      this.#isBusy = false;
    }
  }

  /** @param {string} text */
  #say(text) {
    setText(this.#says, text);
  }
}
