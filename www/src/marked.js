// @ts-check
// The picture with its marks, to take away: as a picture, or as a clip of what happens from now on.

import { byId, setText } from "./elements.js";
import { clock } from "./format.js";
import { saveFile } from "./save.js";

/**
 * @typedef {import("./stage.js").Size} Size
 * @typedef {{
 *   picture: CanvasImageSource | undefined,
 *   size: Size | undefined,
 *   isMirrored: boolean,
 *   isMoving: boolean,
 *   drawMarks: (canvas: HTMLCanvasElement) => void,
 * }} Shown `picture`: what is shown now, of that size in its own pixels
 */

/** Smaller pictures are saved larger: their labels would cover them. */
const LEAST_WIDTH = 960;
const FRAMES_PER_SECOND = 25;
/** A recording ends by itself then: it is kept in memory. */
const MOST_MS = 300_000;
const PIECE_MS = 1000;
/** The first one that the browser writes. */
const KINDS = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm", "video/mp4"];

/** The buttons that save what the stage shows. */
export class MarkedPanel {
  #savePicture = byId("save-picture", HTMLButtonElement);
  #record = byId("record", HTMLButtonElement);
  #says = byId("recorded");
  #read;
  #kind = kindOfClip();
  #canvas = document.createElement("canvas");
  #marks = document.createElement("canvas");
  /** @type {{ recorder: MediaRecorder, startedMs: number } | undefined} */
  #recording;

  /** @param {() => Shown} read */
  constructor(read) {
    this.#read = read;
    this.#savePicture.addEventListener("click", () => this.#save());
    this.#record.addEventListener("click", () => (this.#recording ? this.#recording.recorder.stop() : this.#begin()));
  }

  /** Shows what can be saved, and ends a recording whose source is gone. */
  show() {
    const { size, isMoving } = this.#read();
    this.#savePicture.disabled = size === undefined;
    this.#record.disabled = this.#recording === undefined && !(size && isMoving && this.#kind);
    setText(this.#record, this.#recording ? "End the recording" : "Record a clip, marked");
    if (!this.#recording) return;
    const lastsMs = performance.now() - this.#recording.startedMs;
    setText(this.#says, `Recording: ${clock(lastsMs / 1000)}`);
    if (!isMoving || lastsMs >= MOST_MS) this.#recording.recorder.stop();
  }

  async #save() {
    if (!this.#draw()) return;
    const blob = await new Promise((resolve) => this.#canvas.toBlob(resolve, "image/png"));
    if (blob) saveFile("affectlens.png", blob);
  }

  #begin() {
    const kind = this.#kind;
    if (!kind || !this.#draw()) return;
    const stream = this.#canvas.captureStream(FRAMES_PER_SECOND);
    const recorder = new MediaRecorder(stream, { mimeType: kind });
    /** @type {Blob[]} */
    const pieces = [];
    recorder.addEventListener("dataavailable", ({ data }) => pieces.push(data));
    recorder.addEventListener("stop", () => {
      this.#recording = undefined;
      for (const track of stream.getTracks()) track.stop();
      const clip = new Blob(pieces, { type: kind });
      saveFile(`affectlens.${kind.startsWith("video/mp4") ? "mp4" : "webm"}`, clip);
      this.#says.textContent = "The recording is saved.";
      this.show();
    });
    this.#recording = { recorder, startedMs: performance.now() };
    recorder.start(PIECE_MS);
    this.#follow();
    this.show();
  }

  #follow() {
    if (!this.#recording) return;
    this.#draw();
    requestAnimationFrame(() => this.#follow());
  }

  /** Draws the picture and its marks; gives whether there is one. */
  #draw() {
    const { picture, size, isMirrored, drawMarks } = this.#read();
    if (!picture || !size) return false;
    const scale = Math.max(1, LEAST_WIDTH / size.width);
    const [width, height] = [size.width, size.height].map((side) => Math.round(side * scale));
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d", { alpha: false }));
    for (const canvas of [this.#canvas, this.#marks]) {
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    }
    if (isMirrored) context.setTransform(-1, 0, 0, 1, width, 0);
    context.drawImage(picture, 0, 0, width, height);
    context.resetTransform();
    drawMarks(this.#marks);
    context.drawImage(this.#marks, 0, 0);
    return true;
  }
}

/** The kind of clips that this browser writes; nothing where it writes none. */
function kindOfClip() {
  if (typeof MediaRecorder !== "function") return undefined;
  return KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
}
