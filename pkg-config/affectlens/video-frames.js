// @ts-check
// Tells of each new frame that a video shows.

/**
 * @typedef {{ nowMs: number, mediaMs: number, missed: number }} ShownFrame `nowMs` on the page's clock, `mediaMs` in the video;
 *   `missed`: frames between the one before and this one of which nobody was told
 */

/** Value of `readyState` from which an element has a picture. */
const HAVE_CURRENT_DATA = 2;

/** The frames of a video, while somebody wants to know of them. */
export class VideoFrames {
  #video;
  #onFrame;
  /** Takes back what was asked of the browser. @type {(() => void) | undefined} */
  #cancel;
  #presented = 0;
  #lastSeconds = NaN;

  /**
   * @param {HTMLVideoElement} video
   * @param {(frame: ShownFrame) => void} onFrame
   */
  constructor(video, onFrame) {
    this.#video = video;
    this.#onFrame = onFrame;
  }

  start() {
    if (this.#cancel) return;
    this.#presented = 0;
    if (typeof this.#video.requestVideoFrameCallback === "function") this.#ask();
    else this.#poll();
  }

  stop() {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #ask() {
    const handle = this.#video.requestVideoFrameCallback((nowMs, { mediaTime, presentedFrames }) => {
      this.#ask();
      const missed = this.#presented > 0 ? Math.max(0, presentedFrames - this.#presented - 1) : 0;
      this.#presented = presentedFrames;
      this.#onFrame({ nowMs, mediaMs: mediaTime * 1000, missed });
    });
    this.#cancel = () => this.#video.cancelVideoFrameCallback(handle);
  }

  /** Looks at the video's clock whenever the screen is drawn, where the browser does not tell of frames itself. */
  #poll() {
    const handle = requestAnimationFrame((nowMs) => {
      this.#poll();
      const { currentTime, readyState } = this.#video;
      if (readyState < HAVE_CURRENT_DATA || currentTime === this.#lastSeconds) return;
      this.#lastSeconds = currentTime;
      this.#onFrame({ nowMs, mediaMs: currentTime * 1000, missed: 0 });
    });
    this.#cancel = () => cancelAnimationFrame(handle);
  }
}
