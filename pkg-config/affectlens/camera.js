// @ts-check
// A camera: opened, shown, exchanged for another one, closed; and lost, if somebody unplugs it.

import { listDevices, lost, openDevice, stopTracks } from "./devices.js";
import { DISPOSE } from "./disposal.js";
import { AffectLensError, tagOf, textOf } from "./errors.js";
import { A_SIGNAL, A_TEXT, oneOf, readFields, wholeNumber } from "./fields.js";
import { within } from "./time-limit.js";

/**
 * @typedef {import("./camera.js").CameraOptions} CameraOptions
 * @typedef {import("./camera.js").CameraState} CameraState
 */

/** A camera that has shown nothing by then is given up. */
const PATIENCE_MS = 20_000;
const MOST_PIXELS = 16_384;
const A_VIDEO = {
  expected: "an HTMLVideoElement",
  accepts: (/** @type {unknown} */ value) => tagOf(value) === "HTMLVideoElement",
};
/** @type {Record<keyof CameraOptions, import("./fields.js").Field>} */
const OPTIONS = {
  video: A_VIDEO,
  deviceId: A_TEXT,
  facing: oneOf(["user", "environment"]),
  width: wholeNumber(1, MOST_PIXELS),
  height: wholeNumber(1, MOST_PIXELS),
  signal: A_SIGNAL,
};

/** @param {CameraOptions} [options] */
export async function openCamera(options = {}) {
  const camera = new Camera(readFields(options, OPTIONS));
  const { deviceId, signal } = options;
  const abort = () => camera.close();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await camera.open(deviceId);
  } catch (error) {
    signal?.removeEventListener("abort", abort);
    throw error;
  }
  void camera.ended.then(() => signal?.removeEventListener("abort", abort));
  return camera;
}

/** The cameras of the machine. */
export function listCameras() {
  return listDevices("camera");
}

class Camera {
  #options;
  /** @type {CameraState} */
  #state = "closed";
  #stream = /** @type {MediaStream} */ (/** @type {unknown} */ (undefined));
  /** Counts openings: one that was overtaken leaves no trace. */
  #openings = 0;
  /** @type {(end: "closed" | "lost") => void} */
  #resolve = () => {};
  /** @type {Promise<"closed" | "lost">} */
  ended = new Promise((resolve) => (this.#resolve = resolve));

  /** @param {CameraOptions} options */
  constructor(options) {
    this.#options = options;
  }

  get state() {
    return this.#state;
  }

  get stream() {
    return this.#stream;
  }

  get deviceId() {
    return this.#track.getSettings().deviceId ?? "";
  }

  get label() {
    return this.#track.label;
  }

  get #track() {
    return this.#stream.getVideoTracks()[0];
  }

  /** @param {string} [deviceId] */
  async open(deviceId) {
    const { facing = "user", width = 640, height = 480, video, signal } = this.#options;
    const mine = (this.#openings += 1);
    const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: facing };
    const stream = await openDevice("camera", { ...which, width: { ideal: width }, height: { ideal: height } }, signal);
    if (mine !== this.#openings) {
      stopTracks(stream);
      throw new AffectLensError("disposed", "the camera was closed, or another one chosen, before this one had opened");
    }
    this.#stream = stream;
    this.#state = "open";
    this.#track.addEventListener("ended", () => this.#lose(stream));
    try {
      if (video) await show(video, stream);
    } catch (error) {
      const isLost = this.state === "lost";
      this.close();
      signal?.throwIfAborted();
      throw isLost ? lost("camera") : error;
    }
  }

  /** @param {string} deviceId */
  async switchTo(deviceId) {
    if (!A_TEXT.accepts(deviceId)) throw new AffectLensError("bad-argument", "deviceId is missing, expected one that `listCameras` gives");
    if (this.#state !== "open") throw new AffectLensError("disposed", `the camera is ${this.#state}: open it with \`openCamera\``);
    // Phones have one open at a time.
    stopTracks(this.#stream);
    try {
      await this.open(deviceId);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close() {
    this.#openings += 1;
    if (this.#state !== "open") return;
    this.#end("closed");
  }

  [DISPOSE]() {
    this.close();
  }

  /** @param {MediaStream} stream */
  #lose(stream) {
    if (this.#state === "open" && stream === this.#stream) this.#end("lost");
  }

  /** @param {"closed" | "lost"} end */
  #end(end) {
    this.#state = end;
    stopTracks(this.#stream);
    const { video } = this.#options;
    if (video?.srcObject === this.#stream) video.srcObject = null;
    this.#resolve(end);
  }
}

/**
 * Shows a stream, and waits until there is a picture.
 *
 * @param {HTMLVideoElement} video
 * @param {MediaStream} stream
 */
async function show(video, stream) {
  video.srcObject = stream;
  video.muted = true;
  video.playsInline = true;
  const message = `the camera gave no picture within ${PATIENCE_MS / 1000} s: another program may be using it`;
  try {
    await within(PATIENCE_MS, video.play(), () => new AffectLensError("camera-in-use", message));
  } catch (cause) {
    if (cause instanceof AffectLensError) throw cause;
    throw new AffectLensError("picture-empty", `the video element does not play the camera: ${textOf(cause)}`, { cause });
  }
}
