// @ts-check
// Gets the weights files: from the caller, the Cache API or the network, and checks each against its digest.
// Runs in the worker.

import { download } from "./download.js";
import { AffectLensError, tagOf } from "./errors.js";
import { SOUND_ROLES, TASKS_OF_ROLE } from "./names.js";
import { WeightsCache } from "./weights-cache.js";

/** @typedef {import("./names.js").Task} Task */
/** @typedef {import("./names.js").WeightsRole} Role */
/** @typedef {{ url: string, bytes: number, sha256: string }} RemoteFile */

/** What the files are for. */
export const ROLES = /** @type {readonly Role[]} */ (Object.keys(TASKS_OF_ROLE));

/**
 * Where weights come from: part of the message to the worker.
 *
 * @typedef {{ kind: "manifest", url: string }
 *   | { kind: "remote", files: Partial<Record<Role, RemoteFile>> }
 *   | { kind: "bytes", files: Partial<Record<Role, Uint8Array | Blob>> }} WeightsSource
 */

/** @typedef {(progress: { loadedBytes: number, totalBytes: number, cached: boolean }) => void} OnBytes */

/** The file for the points of a body, by the option `pose`. @type {Readonly<Record<import("./index.js").PoseVersion, Role>>} */
export const LANDMARKS_OF_POSE = { lite: "poseLandmarks", full: "poseLandmarksFull", heavy: "poseLandmarksHeavy" };
/** No file of ours comes near; a manifest that asks for more is broken. */
const MAX_FILE_BYTES = 2 ** 30;
const MAX_MANIFEST_BYTES = 2 ** 20;

/**
 * Roles of the files that tasks can use.
 *
 * @param {readonly Task[]} tasks
 * @param {import("./index.js").DetectorChoice} [detector]
 * @param {boolean} [audio] whether sound is heard too
 * @param {import("./index.js").PoseVersion} [pose]
 */
export function rolesFor(tasks, detector = "short-range", audio = false, pose = "lite") {
  /** @type {Partial<Record<Role, typeof detector>>} */
  const detectors = { detector: "short-range", fullRangeDetector: "full-range" };
  const otherPoints = Object.values(LANDMARKS_OF_POSE).filter((role) => role !== LANDMARKS_OF_POSE[pose]);
  const isChosen = (/** @type {Role} */ role) =>
    !otherPoints.includes(role) && (detector === "auto" || (detectors[role] ?? detector) === detector);
  const serves = (/** @type {Role} */ role) => TASKS_OF_ROLE[role].some((task) => tasks.includes(task));
  const hears = (/** @type {Role} */ role) => audio && SOUND_ROLES.includes(role);
  return ROLES.filter((role) => hears(role) || (isChosen(role) && serves(role)));
}

/**
 * Gets every file that the source names and the tasks can use.
 *
 * @param {{
 *   source: WeightsSource,
 *   tasks: readonly Task[],
 *   detector: import("./index.js").DetectorChoice,
 *   audio: boolean,
 *   pose?: import("./index.js").PoseVersion,
 *   onBytes: OnBytes,
 *   read: (role: Role, bytes: Uint8Array) => void | Promise<void>,
 * }} wanted `read`: called with each file once it is there and good, while others are still on their way
 * @returns {Promise<{ roles: Role[], kept: Promise<unknown> }>} the files that were read; `kept`: once what came from the network
 *   is kept for the next visit, never rejects
 */
export async function gatherWeights({ source, tasks, detector, audio, pose, onBytes, read }) {
  const roles = rolesFor(tasks, detector, audio, pose);
  if (source.kind === "bytes") {
    const given = roles.flatMap((role) => {
      const file = source.files[role];
      return file ? [{ role, file }] : [];
    });
    await Promise.all(given.map(async ({ role, file }) => read(role, await readGiven(role, file))));
    return { roles: given.map(({ role }) => role), kept: Promise.resolve() };
  }
  /** @type {Promise<void>[]} */
  const keeping = [];
  const opening = WeightsCache.open();
  const files = source.kind === "manifest" ? await fetchManifest(source.url, opening, keeping) : source.files;
  const cache = await opening;
  const wanted = roles.flatMap((role) => {
    const file = files[role];
    return file ? [{ role, file }] : [];
  });
  const totalBytes = wanted.reduce((sum, { file }) => sum + file.bytes, 0);
  let loadedBytes = 0;
  let cached = true;
  await Promise.all(
    wanted.map(async ({ role, file }) => {
      const kept = await cache.file(file, async (bytes) => bytes.length === file.bytes && (await sha256(bytes)) === file.sha256);
      if (kept) {
        loadedBytes += kept.length;
        onBytes({ loadedBytes, totalBytes, cached });
        return read(role, kept);
      }
      cached = false;
      const fetched = await fetchFile(role, file, (count) => {
        loadedBytes += count;
        onBytes({ loadedBytes, totalBytes, cached });
      });
      keeping.push(cache.keepFile(file.sha256, fetched));
      return read(role, fetched);
    }),
  );
  const kept = Promise.all(keeping);
  // Nothing waits for it.
  void kept.then(() => cache.clean());
  return { roles: wanted.map(({ role }) => role), kept };
}

/**
 * @param {unknown} value
 * @returns {value is Blob}
 */
export function isBlob(value) {
  return ["Blob", "File"].includes(tagOf(value));
}

/**
 * @param {Role} role
 * @param {Uint8Array | Blob} given
 */
async function readGiven(role, given) {
  if (!isBlob(given)) return given;
  if (given.size > MAX_FILE_BYTES) {
    throw new AffectLensError("weights-malformed", `\`${role}\` has ${given.size} bytes, expected at most ${MAX_FILE_BYTES}`);
  }
  try {
    return new Uint8Array(await given.arrayBuffer());
  } catch (cause) {
    throw new AffectLensError("weights-missing", `the file given for \`${role}\` cannot be read any more`, { cause });
  }
}

/**
 * The files that a weights package's `manifest.json` lists, with whole addresses.
 *
 * @param {unknown} manifest
 * @param {string} base address that file names are relative to
 * @returns {Partial<Record<Role, RemoteFile>>}
 */
export function readManifest(manifest, base) {
  const listed = /** @type {any} */ (manifest)?.files;
  if (typeof listed !== "object" || listed === null) throw malformed(base, "has no `files`");
  /** @type {Partial<Record<Role, RemoteFile>>} */
  const files = {};
  for (const role of ROLES) {
    const file = listed[role];
    if (file === undefined || file === null) continue;
    const { bytes, sha256 } = file;
    const address = file.url ?? file.file;
    if (typeof address !== "string" || address === "") throw malformed(base, `names no file for \`${role}\``);
    const url = addressOf(address, base);
    if (!url) throw malformed(base, `gives \`${role}\` the address \`${address.slice(0, 100)}\`, which is none`);
    if (!Number.isInteger(bytes) || bytes <= 0 || bytes > MAX_FILE_BYTES) {
      throw malformed(base, `gives \`${role}\` ${String(bytes)} bytes, expected 1 to ${MAX_FILE_BYTES}`);
    }
    if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) {
      throw malformed(base, `gives \`${role}\` no sha256 of 64 hexadecimal digits`);
    }
    files[role] = { url, bytes, sha256 };
  }
  return files;
}

/**
 * @param {string} address
 * @param {string} base
 */
function addressOf(address, base) {
  try {
    return new URL(address, base).href;
  } catch {
    return undefined;
  }
}

/**
 * @param {string} url
 * @param {Promise<WeightsCache>} opening
 * @param {Promise<void>[]} keeping what is kept for the next visit joins it
 */
async function fetchManifest(url, opening, keeping) {
  let text;
  try {
    text = await fetchText(url);
  } catch (error) {
    // Offline: the files that were checked before are still good.
    const isMissing = error instanceof AffectLensError && error.code === "weights-missing";
    const kept = isMissing ? await (await opening).manifest(url) : undefined;
    if (kept === undefined) throw error;
    return parseManifest(kept, url);
  }
  const files = parseManifest(text, url);
  keeping.push(opening.then((cache) => cache.keepManifest(url, text)));
  return files;
}

/** @param {string} url */
async function fetchText(url) {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of download(url, { cache: "no-cache" })) {
    text += decoder.decode(piece, { stream: true });
    if (text.length > MAX_MANIFEST_BYTES) throw malformed(url, `has more than ${MAX_MANIFEST_BYTES} bytes`);
  }
  return text + decoder.decode();
}

/**
 * @param {string} text
 * @param {string} url
 */
function parseManifest(text, url) {
  let manifest;
  try {
    manifest = JSON.parse(text);
  } catch (cause) {
    throw malformed(url, "is not JSON", cause);
  }
  return readManifest(manifest, url);
}

/**
 * @param {Role} role
 * @param {RemoteFile} file
 * @param {(count: number) => void} onBytes
 */
async function fetchFile(role, file, onBytes) {
  const bytes = roomFor(role, file);
  let filled = 0;
  for await (const piece of download(file.url)) {
    if (filled + piece.length > bytes.length) throw wrongLength(role, file, `more than ${file.bytes}`);
    bytes.set(piece, filled);
    filled += piece.length;
    onBytes(piece.length);
  }
  if (filled < bytes.length) throw wrongLength(role, file, String(filled));
  const got = await sha256(bytes);
  if (got !== file.sha256) {
    throw new AffectLensError("weights-digest", `\`${role}\` has sha256 ${got}, expected ${file.sha256}`);
  }
  return bytes;
}

/**
 * @param {Role} role
 * @param {RemoteFile} file
 */
function roomFor(role, file) {
  try {
    return new Uint8Array(file.bytes);
  } catch (cause) {
    throw new AffectLensError("weights-malformed", `\`${role}\` has ${file.bytes} bytes, and memory has no room for them`, { cause });
  }
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
async function sha256(bytes) {
  if (!globalThis.crypto?.subtle) {
    const message = "weights cannot be checked: SHA-256 needs a secure context (https or localhost)";
    throw new AffectLensError("insecure-context", message);
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {Role} role
 * @param {RemoteFile} file
 * @param {string} got
 */
function wrongLength(role, file, got) {
  return new AffectLensError("weights-malformed", `\`${role}\` has ${got} bytes, expected ${file.bytes}`);
}

/**
 * @param {string} url
 * @param {string} reason
 * @param {unknown} [cause]
 */
function malformed(url, reason, cause) {
  return new AffectLensError("weights-malformed", `weights manifest \`${url}\` ${reason}`, { cause });
}
