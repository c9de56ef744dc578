// @ts-check
// A scene that the page draws from clips, frame by frame, and shows as a stream without an end.

import { SourceError } from "./media.js";

/** @typedef {(context: CanvasRenderingContext2D, clips: readonly HTMLVideoElement[], seconds: number) => void} Draw */

const [WIDTH, HEIGHT] = [800, 300];
const FRAMES_PER_SECOND = 25;
/** How far the movement zooms in, how far it goes to each side as a share of what is cut off, and how often a second. */
const [ZOOM, SWAY, SWAYS] = [2, 0.9, 1.6];

/** Clips side by side. @type {Draw} */
export function drawPair(context, clips) {
  const width = WIDTH / clips.length;
  clips.forEach((clip, index) => context.drawImage(clip, index * width, 0, width, HEIGHT));
}

/** A clip through a camera that sways fast. @type {Draw} */
export function drawMovement(context, [clip], seconds) {
  const [width, height] = [clip.videoWidth / ZOOM, clip.videoHeight / ZOOM];
  const phase = 2 * Math.PI * SWAYS * seconds;
  const left = ((clip.videoWidth - width) / 2) * (1 + SWAY * Math.sin(phase));
  const top = ((clip.videoHeight - height) / 2) * (1 + SWAY * Math.sin(1.7 * phase));
  context.drawImage(clip, left, top, width, height, 0, 0, WIDTH, HEIGHT);
}

/** A scene while it is drawn. */
export class Scene {
  stream;
  #clips;
  #handle = 0;

  /**
   * @param {readonly HTMLVideoElement[]} clips which play
   * @param {Draw} draw
   */
  constructor(clips, draw) {
    this.#clips = clips;
    const canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    const follow = (/** @type {number} */ nowMs) => {
      draw(context, clips, nowMs / 1000);
      this.#handle = requestAnimationFrame(follow);
    };
    follow(performance.now());
    this.stream = canvas.captureStream(FRAMES_PER_SECOND);
  }

  /**
   * @param {readonly Blob[]} files
   * @param {Draw} draw
   */
  static async open(files, draw) {
    if (!("captureStream" in HTMLCanvasElement.prototype)) {
      throw new SourceError("unreadable", "This browser makes no video of a drawing: show another sample.");
    }
    return new Scene(await Promise.all(files.map(playClip)), draw);
  }

  stop() {
    cancelAnimationFrame(this.#handle);
    for (const track of this.stream.getTracks()) track.stop();
    for (const clip of this.#clips) {
      clip.pause();
      URL.revokeObjectURL(clip.src);
      clip.removeAttribute("src");
      clip.load();
    }
  }
}

/** @param {Blob} file */
async function playClip(file) {
  const clip = Object.assign(document.createElement("video"), { muted: true, loop: true, playsInline: true });
  clip.src = URL.createObjectURL(file);
  await clip.play();
  return clip;
}
