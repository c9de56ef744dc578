// @ts-check
// The place of the picture: the video or still itself, and the controls that belong to what is shown.

import { byId } from "./elements.js";

/**
 * @typedef {import("./sources.js").Showing} Showing
 * @typedef {{ width: number, height: number }} Size in the picture's own pixels
 */

/** The elements around the picture. */
export class Stage {
  video = byId("video", HTMLVideoElement);
  still = byId("still", HTMLImageElement);
  #stage = byId("stage");
  #intro = byId("intro");
  #transport = byId("transport");
  #stop = byId("stop", HTMLButtonElement);
  #cameraChoice = byId("camera", HTMLSelectElement);
  #cameraLabel = byId("camera-choice");

  /** @param {{ onStop: () => void, onCamera: (deviceId: string) => void, onResize: () => void }} listeners */
  constructor({ onStop, onCamera, onResize }) {
    this.#stop.addEventListener("click", onStop);
    this.#cameraChoice.addEventListener("change", () => onCamera(this.#cameraChoice.value));
    new ResizeObserver(onResize).observe(this.#stage);
  }

  /**
   * @param {Showing} showing
   * @param {Size | undefined} size
   */
  show(showing, size) {
    this.#stage.dataset.showing = showing;
    this.#stage.style.setProperty("--ratio", showing === "nothing" || !size ? "4 / 3" : `${size.width} / ${size.height}`);
    this.#intro.hidden = showing !== "nothing";
    this.still.hidden = showing !== "still";
    this.#transport.hidden = showing !== "clip";
    this.#cameraLabel.hidden = showing !== "camera" || this.#cameraChoice.options.length < 2;
    this.#stop.disabled = showing === "nothing";
  }

  /**
   * @param {readonly import("affectlens/camera").CameraInfo[]} cameras
   * @param {string | undefined} current id of the one that is shown
   */
  showCameras(cameras, current) {
    this.#cameraChoice.replaceChildren(
      ...cameras.map(({ id, label }) => new Option(label, id, false, id === current)),
    );
  }
}
