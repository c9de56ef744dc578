// @ts-check
// Reads what a server sends, piece by piece, and never waits for it without end. Runs in the worker.

import { AffectLensError, textOf } from "./errors.js";
import { isPage } from "./moved.js";
import { within } from "./time-limit.js";

/** A server that sends nothing for so long is given up; a slow one may take as long as it needs. */
const SILENCE_MS = 30_000;
/** About files that are not there. */
const HINT =
  "; where a bundler leaves them behind, copy node_modules/affectlens-weights to where the page can fetch it, and give the " +
  'address: `load({ weights: "/affectlens-weights/" })`';

/**
 * The pieces of a file, as they come. Whoever stops reading ends the download.
 *
 * Every trouble is one of the weights: none is a failure of a device.
 *
 * @param {string} url
 * @param {RequestInit} [init]
 * @returns {AsyncGenerator<Uint8Array>}
 */
export async function* download(url, init) {
  const ended = new AbortController();
  const late = () => missing(url, `stopped coming: nothing was sent for ${SILENCE_MS / 1000} s`);
  let count = 0;
  try {
    const answer = fetch(url, { credentials: "same-origin", signal: ended.signal, ...init });
    const response = await within(SILENCE_MS, answer, late);
    if (!response.ok) throw missing(url, `answered ${response.status}${response.status === 404 ? HINT : ""}`);
    if (isPage(response)) throw missing(url, `answered with a page instead of a file${HINT}`);
    const reader = response.body?.getReader();
    while (reader) {
      const { done, value } = await within(SILENCE_MS, reader.read(), late);
      if (done) return;
      count += value.length;
      yield value;
    }
  } catch (cause) {
    if (cause instanceof AffectLensError) throw cause;
    const reason = count > 0 ? `broke off after ${count} bytes: ${textOf(cause)}` : explainRefusal(url, cause);
    throw missing(url, reason, cause);
  } finally {
    ended.abort();
  }
}

/**
 * @param {string} url
 * @param {unknown} cause
 */
function explainRefusal(url, cause) {
  if (new URL(url).origin === self.origin) return `cannot be fetched: ${textOf(cause)}`;
  const hint = "does that origin allow it (Access-Control-Allow-Origin, and `connect-src` of the page)?";
  return `cannot be fetched: ${hint} ${textOf(cause)}`;
}

/**
 * @param {string} url
 * @param {string} reason
 * @param {unknown} [cause]
 */
function missing(url, reason, cause) {
  return new AffectLensError("weights-missing", `weights \`${url}\` ${reason}`, { cause });
}
