// @ts-check
// Play, pause and the position of a clip.

import { byId, setText } from "./elements.js";
import { clock } from "./format.js";

/** The controls under a clip. */
export class Transport {
  #video;
  #play = byId("play");
  #scrub = byId("scrub", HTMLInputElement);
  #clock = byId("clock");

  /**
   * @param {HTMLVideoElement} video
   * @param {(seconds: number) => void} onSeek
   */
  constructor(video, onSeek) {
    this.#video = video;
    this.#play.addEventListener("click", () => (video.paused || video.ended ? video.play() : video.pause()));
    this.#scrub.addEventListener("input", () => onSeek(Number(this.#scrub.value)));
  }

  /** Shows where the clip stands. */
  show() {
    const { currentTime, paused, ended } = this.#video;
    const [position, duration] = [clock(currentTime), clock(this.#video.duration || 0)];
    this.#scrub.max = String(this.#video.duration || 1);
    this.#scrub.value = String(currentTime);
    this.#scrub.setAttribute("aria-valuetext", `${position} of ${duration}`);
    setText(this.#clock, `${position} / ${duration}`);
    setText(this.#play, paused || ended ? "Play" : "Pause");
  }
}
