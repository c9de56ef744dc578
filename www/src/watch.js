// @ts-check
// Follows a video: one frame in flight, the rest dropped.

/**
 * @typedef {{
 *   onFrame: (timeMs: number) => Promise<void>,
 *   onDrop: (count: number) => void,
 * }} Watcher
 */

/** Calls `onFrame` with the newest frame whenever the call before has ended. */
export class FrameWatch {
  #video;
  #watcher;
  #isBusy = false;
  #handle = 0;
  #presented = 0;
  #isRunning = false;
  /** When the first frame of a stream came: a stream has no time of its own. */
  #streamStart = 0;

  /**
   * @param {HTMLVideoElement} video
   * @param {Watcher} watcher
   */
  constructor(video, watcher) {
    this.#video = video;
    this.#watcher = watcher;
  }

  get isRunning() {
    return this.#isRunning;
  }

  start() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#presented = 0;
    this.#ask();
  }

  stop() {
    this.#isRunning = false;
    this.#video.cancelVideoFrameCallback(this.#handle);
  }

  /** Forgets the start of a stream. */
  rewind() {
    this.#streamStart = 0;
  }

  #ask() {
    this.#handle = this.#video.requestVideoFrameCallback((now, { mediaTime, presentedFrames }) => {
      this.#ask();
      this.#meet(now, mediaTime, presentedFrames);
    });
  }

  /**
   * @param {number} now
   * @param {number} mediaTime
   * @param {number} presentedFrames
   */
  #meet(now, mediaTime, presentedFrames) {
    const missed = this.#presented > 0 ? presentedFrames - this.#presented - 1 : 0;
    this.#presented = presentedFrames;
    const dropped = Math.max(0, missed) + Number(this.#isBusy);
    if (dropped > 0) this.#watcher.onDrop(dropped);
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#streamStart ||= now;
    const timeMs = this.#video.srcObject ? now - this.#streamStart : mediaTime * 1000;
    this.#watcher.onFrame(timeMs).finally(() => {
      this.#isBusy = false;
    });
  }
}
