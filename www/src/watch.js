// @ts-check
// Follows a video: one frame in flight, those in between dropped, the last one never.

/**
 * @typedef {{
 *   onFrame: (timeMs: number) => Promise<void>,
 *   onDrop: (count: number) => void,
 * }} Watcher
 */

/**
 * Calls `onFrame` with the newest frame whenever the call before has ended: while the video plays with the next one that
 * comes, and when it stands still with the one that it stands at.
 */
export class FrameWatch {
  #video;
  #watcher;
  #isBusy = false;
  /** The newest frame, if it came while another one was in flight. @type {{ now: number, mediaTime: number } | undefined} */
  #unread;
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
    this.#unread = undefined;
    this.#video.cancelVideoFrameCallback(this.#handle);
  }

  /** Looks at the frame that the video stands at, although it is not new. */
  lookAgain() {
    if (!this.#isRunning || !this.#standsStill) return;
    this.#unread ??= { now: performance.now(), mediaTime: this.#video.currentTime };
    this.#readOn();
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
    const dropped = Math.max(0, missed) + Number(this.#unread !== undefined);
    if (dropped > 0) this.#watcher.onDrop(dropped);
    this.#unread = { now, mediaTime };
    this.#readOn();
  }

  get #standsStill() {
    return this.#video.paused || this.#video.ended;
  }

  /** Hands on the frame that is unread, if none is in flight. */
  #readOn() {
    if (this.#isBusy || !this.#unread) return;
    const { now, mediaTime } = this.#unread;
    this.#unread = undefined;
    this.#isBusy = true;
    this.#streamStart ||= now;
    const timeMs = this.#video.srcObject ? now - this.#streamStart : mediaTime * 1000;
    this.#watcher.onFrame(timeMs).finally(() => {
      this.#isBusy = false;
      if (this.#standsStill) this.#readOn();
    });
  }
}
