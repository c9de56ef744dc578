// @ts-check
// What the page analyses: a camera, a clip or a picture, one at a time.

import clipUrl from "@media/cap12_edit.webm?url";
import { listCameras, openCamera } from "affectlens/camera";

import { SourceError, explainDevice, releaseVideo, showVideo } from "./media.js";
import { messageOf } from "./notices.js";
import { decodePicture } from "./still.js";

/**
 * @typedef {"nothing" | "camera" | "clip" | "still"} Showing
 * @typedef {{ onOpen: (name: string) => void, onClose: () => void }} Listeners
 */

/** The source in use. */
export class Sources {
  /** @type {Showing} */
  showing = "nothing";
  /** The still picture, decoded. @type {ImageBitmap | undefined} */
  picture;
  #stage;
  #notices;
  #listeners;
  /** What is open, or opens: once it is aborted it leaves no trace. */
  #opening = new AbortController();
  /** While one is shown. @type {import("affectlens/camera").Camera | undefined} */
  #camera;
  /** @type {Promise<Blob> | undefined} */
  #sampleClip;

  /**
   * @param {import("./stage.js").Stage} stage
   * @param {import("./notices.js").Notices} notices
   * @param {Listeners} listeners
   */
  constructor(stage, notices, listeners) {
    this.#stage = stage;
    this.#notices = notices;
    this.#listeners = listeners;
    navigator.mediaDevices?.addEventListener("devicechange", () => {
      if (this.#camera) void this.#showCameras(this.#camera);
    });
  }

  get video() {
    return this.#stage.video;
  }

  /** The size of what is shown; nothing before a video knows its own. */
  get size() {
    const { videoWidth, videoHeight } = this.video;
    const { width, height } = this.picture ?? { width: videoWidth, height: videoHeight };
    return width ? { width, height } : undefined;
  }

  /** How long a clip is and where it stands; nothing while none is shown. */
  get clip() {
    if (this.showing !== "clip") return undefined;
    return { durationSeconds: this.video.duration || 1, positionSeconds: this.video.currentTime };
  }

  /** Fetches the sample clip, once: playing it later makes no request. One that failed is fetched again. */
  fetchSampleClip() {
    this.#sampleClip ??= fetch(clipUrl)
      .then((response) => response.blob())
      .catch((error) => {
        this.#sampleClip = undefined;
        throw error;
      });
    return this.#sampleClip;
  }

  /** @param {string} [deviceId] */
  async useCamera(deviceId) {
    await this.#open("camera", "camera", async (signal) => {
      const camera = await openCamera({ video: this.video, deviceId, signal });
      this.#camera = camera;
      void camera.ended.then((end) => {
        if (end !== "lost" || signal.aborted) return;
        this.close();
        this.#notices.report("source", "The camera was unplugged or taken away.", "gone");
      });
      await this.#showCameras(camera);
    });
  }

  async useClip() {
    await this.#open("clip", "cap12_edit.webm", async (signal) => {
      const clip = await this.fetchSampleClip();
      if (!signal.aborted) await showVideo(this.video, URL.createObjectURL(clip), "the sample clip");
    });
  }

  /** @param {File} file */
  async useFile(file) {
    const isPicture = file.type.startsWith("image/");
    await this.#open(isPicture ? "still" : "clip", file.name, async (signal) => {
      const url = URL.createObjectURL(file);
      if (!isPicture) return showVideo(this.video, url, file.name);
      this.#stage.still.src = url;
      const picture = await decodePicture(file);
      if (signal.aborted) return picture.close();
      this.picture = picture;
    });
  }

  /** Releases whatever is open. */
  close() {
    // A camera closes with it.
    this.#opening.abort();
    this.#camera = undefined;
    releaseVideo(this.video);
    const { still } = this.#stage;
    if (still.src) URL.revokeObjectURL(still.src);
    still.removeAttribute("src");
    this.picture?.close();
    this.picture = undefined;
    this.#show("nothing");
    this.#listeners.onClose();
  }

  /** @param {number} seconds */
  seek(seconds) {
    if (this.showing === "clip") this.video.currentTime = Math.min(Math.max(0, seconds), this.video.duration);
  }

  /**
   * @param {Showing} showing
   * @param {string} name
   * @param {(signal: AbortSignal) => Promise<void>} open what its signal aborts was overtaken: it leaves no trace
   */
  async #open(showing, name, open) {
    this.close();
    this.#opening = new AbortController();
    const { signal } = this.#opening;
    this.#notices.clear("source");
    try {
      await open(signal);
    } catch (cause) {
      if (signal.aborted) return;
      this.close();
      const error = explainDevice(cause);
      return this.#notices.report("source", messageOf(error), error instanceof SourceError ? error.state : "none");
    }
    // Another source was chosen while this one opened; it has released the elements already.
    if (signal.aborted) return;
    this.#show(showing);
    this.#listeners.onOpen(name);
  }

  /** @param {Showing} showing */
  #show(showing) {
    this.showing = showing;
    this.#stage.show(showing, this.size);
  }

  /** @param {import("affectlens/camera").Camera} camera the one that is shown */
  async #showCameras({ deviceId }) {
    this.#stage.showCameras(await listCameras(), deviceId);
  }
}
