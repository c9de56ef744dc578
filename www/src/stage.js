// @ts-check
// The place of the picture: the video or still itself, and the controls that belong to what is shown.

import { byId, setText } from "./elements.js";

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
  #shown = byId("shown");
  #stop = byId("stop", HTMLButtonElement);
  #cameraChoice = byId("camera", HTMLSelectElement);
  #cameraLabel = byId("camera-choice");

  /** @param {{ onStop: () => void, onCamera: (deviceId: string) => void, onResize: () => void }} listeners */
  constructor({ onStop, onCamera, onResize }) {
    // Not disabled: it would lose the focus of whoever has just used it.
    this.#stop.addEventListener("click", () => {
      if (this.#stop.getAttribute("aria-disabled") === "false") onStop();
    });
    this.#cameraChoice.addEventListener("change", () => onCamera(this.#cameraChoice.value));
    new ResizeObserver(onResize).observe(this.#stage);
  }

  /**
   * @param {Showing} showing
   * @param {string} name of what is shown
   */
  show(showing, name) {
    this.#stage.dataset.showing = showing;
    this.#intro.hidden = showing !== "nothing";
    this.still.hidden = showing !== "still";
    this.#transport.hidden = showing !== "clip";
    this.#cameraLabel.hidden = showing !== "camera" || this.#cameraChoice.options.length < 2;
    setText(this.#shown, showing === "nothing" ? "Nothing is open." : name);
    this.#stop.setAttribute("aria-disabled", String(showing === "nothing"));
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
