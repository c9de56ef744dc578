// @ts-check
// Takes the frame that a video shows. One that is loaded need not be shown yet: some browsers decode its first frame only
// when somebody asks for it.

import { AffectLensError } from "./errors.js";

/** How long a picture is waited for that is still loading. */
export const PATIENCE_MS = 5_000;
/** A browser that never says that it shows a frame is asked again after so long. */
const RETRY_MS = 50;
/** Values of `readyState` and `networkState`. */
const [HAVE_CURRENT_DATA, NETWORK_EMPTY] = [2, 0];

/**
 * A VideoFrame is a reference to the decoded picture, an ImageBitmap a copy of it.
 *
 * @param {HTMLVideoElement} video is not changed: nothing is played, loaded or sought
 * @returns {Promise<ImageBitmap | VideoFrame>}
 */
export async function takeFrame(video) {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    refuseHopeless(video);
    if (video.readyState >= HAVE_CURRENT_DATA && !video.seeking) {
      const frame = await frameShownBy(video);
      if (frame) return frame;
    }
    if (performance.now() >= until) throw empty(whyNothingCame(video));
    await nextFrame(video);
  }
}

/**
 * @param {HTMLVideoElement} video
 * @returns {Promise<ImageBitmap | VideoFrame | undefined>} nothing before the first frame is shown
 */
async function frameShownBy(video) {
  try {
    return typeof VideoFrame === "function" ? new VideoFrame(video) : await createImageBitmap(video);
  } catch (error) {
    if (error instanceof DOMException && error.name === "InvalidStateError") return undefined;
    throw error;
  }
}

/** @param {HTMLVideoElement} video */
function refuseHopeless(video) {
  if (video.error) {
    throw empty(`this browser cannot play the video: ${video.error.message || `its error has the code ${video.error.code}`}`);
  }
  if (video.networkState === NETWORK_EMPTY && !video.srcObject) {
    throw empty("the video has nothing to show: set its `src` or `srcObject`");
  }
  if (video.readyState >= HAVE_CURRENT_DATA && video.videoWidth === 0 && !video.srcObject) {
    throw empty("the video has sound and no picture");
  }
}

/** @param {HTMLVideoElement} video */
function whyNothingCame(video) {
  const waited = `within ${PATIENCE_MS / 1000} s`;
  if (video.seeking) return `the video did not reach the time that it was set to ${waited}: wait for its event "seeked"`;
  if (video.srcObject) return `the stream of the video gave no picture ${waited}: play it, and see that its track is live`;
  const advice = 'set its `preload` to "auto" or play it, and wait for its event "loadeddata"';
  return `the video showed no picture ${waited}: ${advice}`;
}

/** @param {HTMLVideoElement} video */
function nextFrame(video) {
  return /** @type {Promise<void>} */ (
    new Promise((resolve) => {
      const go = () => {
        clearTimeout(timer);
        if (handle !== undefined) video.cancelVideoFrameCallback(handle);
        resolve();
      };
      const timer = setTimeout(go, RETRY_MS);
      // To ask for it also makes Chromium decode the first frame of a video with the default `preload`.
      const handle = video.requestVideoFrameCallback?.(go);
    })
  );
}

/** @param {string} message */
function empty(message) {
  return new AffectLensError("picture-empty", message);
}
