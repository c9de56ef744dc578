// @ts-check
// Cameras, microphones and video files in the page's elements, and what a visitor can do where one does not open.

import { AffectLensError } from "affectlens";

/** A file that has shown nothing by then is given up. */
const PATIENCE_MS = 20_000;

/** @typedef {"insecure" | "denied" | "none" | "in-use" | "gone" | "unreadable" | "no-picture"} SourceState */

/** Where devices fail, in words for the visitor. @type {Partial<Record<import("affectlens").ErrorCode, [SourceState, string]>>} */
const DEVICE_FAILURES = {
  "insecure-context": ["insecure", "Browsers give cameras and microphones to secure pages only. Open this page over https or on localhost."],
  "camera-denied": ["denied", "The camera is not allowed for this page. Allow it beside the address, then try again, or show a sample."],
  "camera-none": ["none", "No camera was found. Plug one in, show a sample or open a file."],
  "camera-in-use": ["in-use", "The camera does not answer. Another program may be using it: close that and try again."],
  "camera-lost": ["gone", "That camera is no longer there. Choose another one."],
  "microphone-denied": ["denied", "The microphone is not allowed for this page. Allow it beside the address, then try again."],
  "microphone-none": ["none", "No microphone was found. Plug one in."],
  "microphone-in-use": ["in-use", "The microphone does not answer. Another program may be using it: close that and try again."],
  "microphone-lost": ["gone", "That microphone is no longer there."],
};

/** A failure in words for the visitor; `state` names it in one word, for tests. */
export class SourceError extends Error {
  /**
   * @param {SourceState} state
   * @param {string} message
   * @param {ErrorOptions} [options]
   */
  constructor(state, message, options) {
    super(message, options);
    this.state = state;
  }
}

/**
 * A failure of a device as one in words for the visitor; others stay what they are.
 *
 * @param {unknown} error
 */
export function explainDevice(error) {
  const known = error instanceof AffectLensError ? DEVICE_FAILURES[error.code] : undefined;
  return known ? new SourceError(...known, { cause: error }) : error;
}

/**
 * Shows a file and waits until there is a picture.
 *
 * @param {HTMLVideoElement} video
 * @param {string} url
 * @param {string} name
 */
export async function showVideo(video, url, name) {
  video.src = url;
  const outcome = await outcomeOf(video);
  if (outcome === "error") throw new SourceError("unreadable", `This browser cannot play ${name}.`, { cause: video.error });
  if (outcome === "nothing") throw new SourceError("unreadable", `No picture came from ${name} in ${PATIENCE_MS / 1000} seconds.`);
  if (video.videoWidth === 0) throw new SourceError("no-picture", `There is sound in ${name}, but no picture: nothing can be analysed.`);
}

/**
 * Shows a stream and waits until there is a picture.
 *
 * @param {HTMLVideoElement} video
 * @param {MediaStream} stream
 * @param {string} name
 */
export async function showStream(video, stream, name) {
  video.srcObject = stream;
  video.play().catch(() => {});
  if ((await outcomeOf(video)) !== "loadeddata") throw new SourceError("unreadable", `This browser cannot show ${name}.`);
}

/**
 * The first of the events that end the wait for a picture; `nothing` if none comes.
 *
 * @param {HTMLVideoElement} video
 * @returns {Promise<"loadeddata" | "error" | "nothing">}
 */
function outcomeOf(video) {
  const ended = new AbortController();
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve("nothing"), PATIENCE_MS);
    for (const event of /** @type {const} */ (["loadeddata", "error"])) {
      const meet = () => {
        clearTimeout(timer);
        ended.abort();
        resolve(event);
      };
      video.addEventListener(event, meet, { signal: ended.signal });
    }
  });
}

/**
 * Releases the file that the element shows.
 *
 * @param {HTMLVideoElement} video
 */
export function releaseVideo(video) {
  video.pause();
  const { src } = video;
  if (src.startsWith("blob:")) URL.revokeObjectURL(src);
  video.removeAttribute("src");
  video.srcObject = null;
  video.load();
}
