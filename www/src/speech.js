// @ts-check
// Whether somebody speaks, beside the faces: in words and by a shape, and for screen readers when it changes.

import { Bars } from "./bars.js";
import { byId, partOf, setText } from "./elements.js";
import { percent } from "./format.js";

/**
 * @typedef {"unknown" | "speech" | "quiet"} SpeechState
 * @typedef {import("affectlens").AudioReport} AudioReport
 */

/** From here on it is called speech, and below the other one no more: it does not flicker in between. */
const [BEGINS, ENDS] = [0.5, 0.35];
/** A state that lasts so long is read out. */
const LASTING_MS = 1000;

/** @type {Record<SpeechState, string>} */
const WORDS = { unknown: "Listening", speech: "Somebody speaks", quiet: "Nobody speaks" };

/** The indicator of speech; what the voice sounds like only where a network tells that. */
export class SpeechIndicator {
  #line = byId("speech");
  #says = partOf(this.#line, "says");
  #share = partOf(this.#line, "share");
  #spoken = byId("speech-spoken");
  #voice = byId("voice");
  #bars = new Bars();
  /** @type {SpeechState} */
  #state = "unknown";
  #sinceMs = 0;

  constructor() {
    partOf(this.#voice, "bars").append(this.#bars.root);
  }

  /**
   * @param {AudioReport | undefined} audio
   * @param {boolean} isListening
   */
  show(audio, isListening) {
    const state = speechState(audio?.speech, this.#state);
    const nowMs = performance.now();
    if (state !== this.#state) [this.#state, this.#sinceMs] = [state, nowMs];
    const isShown = isListening || audio !== undefined;
    this.#line.hidden = !isShown;
    this.#line.dataset.state = state;
    setText(this.#says, WORDS[state]);
    setText(this.#share, audio?.speech === undefined ? "" : percent(audio.speech));
    if (!isShown) setText(this.#spoken, "");
    else if (nowMs - this.#sinceMs >= LASTING_MS) setText(this.#spoken, state === "unknown" ? "" : WORDS[state]);
    this.#showVoice(audio?.probabilities);
  }

  /** @param {AudioReport["probabilities"]} probabilities */
  #showVoice(probabilities) {
    this.#voice.hidden = probabilities === undefined;
    const shares = Object.entries(probabilities ?? {});
    const most = Math.max(...shares.map(([, share]) => share));
    this.#bars.show(shares.map(([name, share]) => ({ key: name, name, share, text: percent(share), isMarked: share === most })));
  }
}

/**
 * @param {number | undefined} speech its probability
 * @param {SpeechState} before
 * @returns {SpeechState}
 */
export function speechState(speech, before) {
  if (speech === undefined) return "unknown";
  if (speech >= BEGINS) return "speech";
  return speech < ENDS || before === "unknown" ? "quiet" : before;
}
