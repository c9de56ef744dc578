// @ts-check
// A microphone for `lens.listen`.

import { openDevice } from "./devices.js";
import { A_SIGNAL, A_TEXT, readFields } from "./fields.js";

const OPTIONS = { deviceId: A_TEXT, signal: A_SIGNAL };

/** @param {import("./microphone.js").MicrophoneOptions} [options] */
export async function openMicrophone(options = {}) {
  const { deviceId, signal } = readFields(options, OPTIONS);
  // Without what a loudspeaker plays, and as loud and as noisy as it is.
  const wanted = { echoCancellation: true, noiseSuppression: false, autoGainControl: false };
  return openDevice("microphone", { ...wanted, ...(deviceId && { deviceId: { exact: deviceId } }) }, signal);
}
