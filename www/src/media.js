// @ts-check
// Cameras, microphones and video files. Opening one may fail for reasons that a visitor can do something about.

/** A source that has shown nothing by then is given up. */
const PATIENCE_MS = 20_000;

/** @typedef {"camera" | "microphone"} Device */

/** What can be done without one. @type {Record<Device, { denied: string, none: string }>} */
const INSTEAD = {
  camera: { denied: ", or play the sample clip", none: ", play the sample clip or open a file" },
  microphone: { denied: "", none: "" },
};

/** A failure in words for the visitor; `state` names it in one word, for tests. */
export class SourceError extends Error {
  /**
   * @param {"insecure" | "denied" | "none" | "in-use" | "gone" | "unreadable" | "no-picture"} state
   * @param {string} message
   * @param {ErrorOptions} [options]
   */
  constructor(state, message, options) {
    super(message, options);
    this.state = state;
  }
}

/**
 * @param {string} [deviceId] the first camera if not given
 * @returns {Promise<MediaStream>}
 */
export function openCamera(deviceId) {
  const video = { width: { ideal: 640 }, height: { ideal: 480 }, ...(deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" }) };
  return openDevice("camera", { video, audio: false });
}

/** @returns {Promise<MediaStream>} */
export function openMicrophone() {
  // Without the clip that a loudspeaker plays, and as loud and as noisy as it is.
  const audio = { echoCancellation: true, noiseSuppression: false, autoGainControl: false };
  return openDevice("microphone", { audio, video: false });
}

/**
 * @param {Device} device
 * @param {MediaStreamConstraints} wanted
 */
async function openDevice(device, wanted) {
  if (!isSecureContext || !navigator.mediaDevices) {
    throw new SourceError("insecure", `Browsers give the ${device} to secure pages only. Open this page over https or on localhost.`);
  }
  try {
    return await navigator.mediaDevices.getUserMedia(wanted);
  } catch (cause) {
    throw explain(/** @type {DOMException} */ (cause), device);
  }
}

/** The cameras of the machine; their names are known once one was allowed. */
export async function listCameras() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.filter(({ kind, deviceId }) => kind === "videoinput" && deviceId !== "");
}

/**
 * @param {DOMException} cause
 * @param {Device} device
 */
function explain(cause, device) {
  const instead = INSTEAD[device];
  switch (cause.name) {
    case "NotAllowedError":
    case "SecurityError":
      return new SourceError(
        "denied",
        `The ${device} is not allowed for this page. Allow it beside the address, then try again${instead.denied}.`,
        { cause },
      );
    case "NotFoundError":
      return new SourceError("none", `No ${device} was found. Plug one in${instead.none}.`, { cause });
    case "NotReadableError":
    case "AbortError":
      return new SourceError("in-use", `The ${device} does not answer. Another program may be using it: close that and try again.`, { cause });
    case "OverconstrainedError":
      return new SourceError("gone", `That ${device} is no longer there. Choose another one.`, { cause });
    default:
      return new SourceError("none", `The ${device} cannot be opened: ${cause.message}`, { cause });
  }
}

/**
 * Shows a stream or file and waits until there is a picture.
 *
 * @param {HTMLVideoElement} video
 * @param {MediaStream | string} source a stream, or the address of a file
 * @param {string} name
 */
export async function showVideo(video, source, name) {
  if (typeof source === "string") video.src = source;
  else video.srcObject = source;
  const outcome = await outcomeOf(video);
  if (outcome === "error") throw new SourceError("unreadable", `This browser cannot play ${name}.`, { cause: video.error });
  if (outcome === "nothing") throw new SourceError("unreadable", `No picture came from ${name} in ${PATIENCE_MS / 1000} seconds.`);
  if (video.videoWidth === 0) throw new SourceError("no-picture", `There is sound in ${name}, but no picture: nothing can be analysed.`);
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

/** @param {MediaStream} stream whose light goes out */
export function stopStream(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/**
 * Releases whatever the element shows.
 *
 * @param {HTMLVideoElement} video
 */
export function releaseVideo(video) {
  video.pause();
  const { srcObject, src } = video;
  if (srcObject instanceof MediaStream) stopStream(srcObject);
  if (src.startsWith("blob:")) URL.revokeObjectURL(src);
  video.srcObject = null;
  video.removeAttribute("src");
  video.load();
}
