// @ts-check
// Opens cameras and microphones, and says in codes why one cannot be opened.

import { AffectLensError } from "./errors.js";

/** @typedef {"camera" | "microphone"} Device */

const CODES = /** @type {const} */ ({
  camera: { denied: "camera-denied", none: "camera-none", inUse: "camera-in-use", lost: "camera-lost" },
  microphone: { denied: "microphone-denied", none: "microphone-none", inUse: "microphone-in-use", lost: "microphone-lost" },
});
/** How the browser calls them. */
const KINDS = /** @type {const} */ ({ camera: "videoinput", microphone: "audioinput" });

/**
 * @param {Device} device
 * @param {MediaTrackConstraints} wanted
 * @param {AbortSignal} [signal] what opens after it is closed at once
 * @returns {Promise<MediaStream>}
 */
export async function openDevice(device, wanted, signal) {
  signal?.throwIfAborted();
  refuseWithoutDevices(device);
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ [device === "camera" ? "video" : "audio"]: wanted });
  } catch (cause) {
    signal?.throwIfAborted();
    throw await explain(device, /** @type {DOMException} */ (cause));
  }
  if (signal?.aborted) {
    stopTracks(stream);
    throw signal.reason;
  }
  return stream;
}

/**
 * The devices of a kind. Before the first of them was allowed browsers tell neither ids nor names: then there is none.
 *
 * @param {Device} device
 */
export async function listDevices(device) {
  const all = (await globalThis.navigator?.mediaDevices?.enumerateDevices?.()) ?? [];
  const known = all.filter(({ kind, deviceId }) => kind === KINDS[device] && deviceId !== "");
  const name = device === "camera" ? "Camera" : "Microphone";
  return known.map(({ deviceId, label }, index) => ({ id: deviceId, label: label || `${name} ${index + 1}` }));
}

/** @param {MediaStream} stream whose light goes out */
export function stopTracks(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/**
 * That a device which was there is gone.
 *
 * @param {Device} device
 */
export function lost(device) {
  return new AffectLensError(CODES[device].lost, `the ${device} is no longer there: plug it in again, or choose another one`);
}

/** @param {Device} device */
function refuseWithoutDevices(device) {
  if (globalThis.navigator?.mediaDevices && globalThis.isSecureContext) return;
  if (globalThis.isSecureContext === false) {
    const message = `browsers give the ${device} to secure pages only: serve this one over https, or open it on localhost`;
    throw new AffectLensError("insecure-context", message);
  }
  throw new AffectLensError("unsupported", `there is no ${device} here (navigator.mediaDevices): open it in a browser's page`);
}

/**
 * @param {Device} device
 * @param {DOMException} cause
 */
async function explain(device, cause) {
  const codes = CODES[device];
  const failure = (/** @type {import("./index.js").ErrorCode} */ code, /** @type {string} */ message) => new AffectLensError(code, message, { cause });
  switch (cause.name) {
    case "NotAllowedError":
    case "SecurityError":
      return failure(codes.denied, `the ${device} is not allowed for this page: allow it beside the address, then open it again`);
    case "NotFoundError":
      return failure(codes.none, `no ${device} was found: plug one in`);
    case "NotReadableError":
    case "AbortError":
      return failure(codes.inUse, `the ${device} does not answer: another program may be using it`);
    case "OverconstrainedError":
      // Some browsers say so of a machine that has none.
      if (!(await hasAny(device))) return failure(codes.none, `no ${device} was found: plug one in`);
      return Object.assign(lost(device), { cause });
    default:
      return failure(codes.none, `the ${device} cannot be opened: ${cause.message}`);
  }
}

/** @param {Device} device */
async function hasAny(device) {
  const all = await navigator.mediaDevices.enumerateDevices().catch(() => []);
  return all.some(({ kind }) => kind === KINDS[device]);
}
