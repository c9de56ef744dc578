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
  /** @type {Silence | undefined} */
  let silence;
  try {
    const answer = fetch(url, { credentials: "same-origin", signal: ended.signal, ...init });
    const response = await within(SILENCE_MS, answer, late);
    if (!response.ok) throw missing(url, `answered ${response.status}${response.status === 404 ? HINT : ""}`);
    if (isPage(response)) throw missing(url, `answered with a page instead of a file${HINT}`);
    const reader = response.body?.getReader();
    silence = new Silence(() => void reader?.cancel());
    while (reader) {
      const { done, value } = await reader.read();
      if (silence.isTooLong) throw late();
      if (done) return;
      silence.end();
      count += value.length;
      yield value;
    }
  } catch (cause) {
    if (cause instanceof AffectLensError) throw cause;
    const reason = count > 0 ? `broke off after ${count} bytes: ${textOf(cause)}` : explainRefusal(url, cause);
    throw missing(url, reason, cause);
  } finally {
    silence?.stop();
    ended.abort();
  }
}

/** Since when nothing was heard: one timer for all pieces, since one for each would cost more than to read it. */
class Silence {
  #sinceMs = performance.now();
  #timer = this.#wait(SILENCE_MS);
  #meet;
  /** Whether it was met: nothing is waited for any more. */
  isTooLong = false;

  /** @param {() => void} meet called once it is too long */
  constructor(meet) {
    this.#meet = meet;
  }

  end() {
    this.#sinceMs = performance.now();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  /** @param {number} limitMs */
  #wait(limitMs) {
    return setTimeout(() => this.#look(), limitMs);
  }

  #look() {
    const leftMs = this.#sinceMs + SILENCE_MS - performance.now();
    if (leftMs > 0) {
      this.#timer = this.#wait(leftMs);
      return;
    }
    this.isTooLong = true;
    this.#meet();
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
