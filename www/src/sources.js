// @ts-check
// What the page analyses: a camera, a clip, a scene that it draws or a picture, one at a time.

import { listCameras, openCamera } from "affectlens/camera";

import { SourceError, explainDevice, releaseVideo, showStream, showVideo } from "./media.js";
import { messageOf } from "./notices.js";
import { Scene } from "./scene.js";
import { decodePicture } from "./still.js";

/**
 * @typedef {"nothing" | "camera" | "clip" | "scene" | "still"} Showing
 * @typedef {{ onOpen: (name: string) => void, onClose: () => void }} Listeners
 */

/** The source in use. */
export class Sources {
  /** @type {Showing} */
  showing = "nothing";
  /** The still picture, decoded. @type {ImageBitmap | undefined} */
  picture;
  /** The clip that is shown, as a file. @type {Blob | undefined} */
  file;
  #stage;
  #notices;
  #listeners;
  /** What is open, or opens: once it is aborted it leaves no trace. */
  #opening = new AbortController();
  /** While one is shown. @type {import("affectlens/camera").Camera | undefined} */
  #camera;
  /** While one is shown. @type {Scene | undefined} */
  #scene;
  #samples;

  /**
   * @param {import("./stage.js").Stage} stage
   * @param {import("./notices.js").Notices} notices
   * @param {import("./samples.js").SampleFiles} samples
   * @param {Listeners} listeners
   */
  constructor(stage, notices, samples, listeners) {
    this.#stage = stage;
    this.#samples = samples;
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

  /** @param {import("./samples.js").Sample} sample */
  async useSample({ name, content }) {
    await this.#open(content.kind, name, async (signal) => {
      const urls = content.kind === "scene" ? content.urls : [content.url];
      const files = await Promise.all(urls.map((url) => this.#samples.fetch(url)));
      if (signal.aborted) return;
      if (content.kind === "clip") return this.#showClip(files[0], "the sample clip", signal);
      if (content.kind === "still") return this.#showPicture(files[0], name, signal);
      const scene = await Scene.open(files, content.draw);
      if (signal.aborted) return scene.stop();
      this.#scene = scene;
      await showStream(this.video, scene.stream, name);
    });
  }

  /** @param {File} file */
  async useFile(file) {
    const isPicture = file.type.startsWith("image/");
    await this.#open(isPicture ? "still" : "clip", file.name, async (signal) => {
      if (isPicture) return this.#showPicture(file, file.name, signal);
      return this.#showClip(file, file.name, signal);
    });
  }

  /**
   * @param {Blob} file
   * @param {string} name
   * @param {AbortSignal} signal
   */
  async #showClip(file, name, signal) {
    await showVideo(this.video, URL.createObjectURL(file), name);
    if (!signal.aborted) this.file = file;
  }

  /**
   * @param {Blob} file
   * @param {string} name
   * @param {AbortSignal} signal
   */
  async #showPicture(file, name, signal) {
    this.#stage.still.src = URL.createObjectURL(file);
    const picture = await decodePicture(file, name);
    if (signal.aborted) return picture.close();
    this.picture = picture;
  }

  /** Releases whatever is open. */
  close() {
    // A camera closes with it.
    this.#opening.abort();
    this.#camera = undefined;
    this.#scene?.stop();
    this.#scene = undefined;
    releaseVideo(this.video);
    const { still } = this.#stage;
    if (still.src) URL.revokeObjectURL(still.src);
    still.removeAttribute("src");
    this.picture?.close();
    this.picture = undefined;
    this.file = undefined;
    this.#show("nothing", "");
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
    this.#show(showing, name);
    this.#listeners.onOpen(name);
  }

  /**
   * @param {Showing} showing
   * @param {string} name
   */
  #show(showing, name) {
    this.showing = showing;
    this.#stage.show(showing, name);
  }

  /** @param {import("affectlens/camera").Camera} camera the one that is shown */
  async #showCameras({ deviceId }) {
    this.#stage.showCameras(await listCameras(), deviceId);
  }
}
