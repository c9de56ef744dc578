// @ts-check
// Keeps weights for the next visit in the Cache API, as far as the browser lets it: nothing of it ever fails a load.

import { within } from "./time-limit.js";

const CACHE_NAME = "affectlens-weights";
/** A browser that has not answered by then is left alone; large files may take longer, at 10 MB a second. */
const PATIENCE_MS = 5_000;
const BYTES_PER_MS = 10_000;
/** Keys of files; no such host exists, and the address that a file came from does not matter. */
const FILES = "https://affectlens.invalid/sha256/";
/** When each key was used last. */
const USES = "https://affectlens.invalid/uses.json";
const DAY_MS = 86_400_000;
/** What nobody asked for so long is thrown away, and the oldest beyond so many bytes. */
const KEPT_DAYS = 30;
const KEPT_BYTES = 2 ** 28;

/** @typedef {{ day: number, bytes: number }} Use `day`: since 1970 */

/** Copies of files by their digest, and of manifests by their address. */
export class WeightsCache {
  /** Nothing where the browser denies storage, or has failed to answer. @type {Cache | undefined} */
  #cache;
  /** What this load used: key and bytes. @type {Map<string, number>} */
  #used = new Map();

  /** Whatever the browser says to it: never rejects. */
  static async open() {
    const opened = new WeightsCache();
    try {
      // Even to name it throws in some places.
      opened.#cache = await within(PATIENCE_MS, globalThis.caches.open(CACHE_NAME), tooLate);
    } catch {
      // A load without a cache is a load.
    }
    return opened;
  }

  /**
   * @param {{ sha256: string, bytes: number }} wanted
   * @param {(bytes: Uint8Array<ArrayBuffer>) => Promise<boolean>} isGood a copy that is not is thrown away
   */
  async file(wanted, isGood) {
    const key = FILES + wanted.sha256;
    return this.#attempt(wanted.bytes, async (cache) => {
      const kept = await cache.match(key);
      if (!kept) return undefined;
      const bytes = new Uint8Array(await kept.arrayBuffer());
      if (await isGood(bytes)) {
        this.#used.set(key, bytes.length);
        return bytes;
      }
      await cache.delete(key);
    });
  }

  /**
   * @param {string} digest
   * @param {Uint8Array<ArrayBuffer>} bytes
   */
  async keepFile(digest, bytes) {
    // The browser reads a blob by itself, while this thread does other work.
    await this.#keep(FILES + digest, bytes.length, new Response(new Blob([bytes])));
  }

  /** @param {string} url */
  async manifest(url) {
    return this.#attempt(0, async (cache) => {
      const text = await (await cache.match(url))?.text();
      if (text !== undefined) this.#used.set(url, text.length);
      return text;
    });
  }

  /**
   * @param {string} url
   * @param {string} text
   */
  async keepManifest(url, text) {
    await this.#keep(url, text.length, new Response(text));
  }

  /** Throws away what nobody has used for a month, and the oldest if there is too much. */
  async clean() {
    await this.#attempt(0, async (cache) => {
      const today = Math.floor(Date.now() / DAY_MS);
      const uses = await readUses(cache);
      const isKnown = (/** @type {string} */ key) => key in uses || this.#used.has(key) || key.startsWith(FILES);
      const keys = (await cache.keys()).map(({ url }) => url).filter((key) => key !== USES);
      const kept = keys.filter(isKnown).map((key) => {
        const bytes = this.#used.get(key);
        const { day, bytes: before } = uses[key] ?? { day: today, bytes: 0 };
        return { key, day: bytes === undefined ? Math.min(day, today) : today, bytes: bytes ?? before, isNeeded: bytes !== undefined };
      });
      let others = 0;
      /** @type {Record<string, Use>} */
      const now = {};
      for (const { key, day, bytes, isNeeded } of kept.sort((one, other) => other.day - one.day)) {
        if (!isNeeded) others += bytes;
        if (isNeeded || (today - day <= KEPT_DAYS && others <= KEPT_BYTES)) now[key] = { day, bytes };
      }
      await Promise.all(keys.filter((key) => !(key in now)).map((key) => cache.delete(key)));
      if (JSON.stringify(now) !== JSON.stringify(uses)) await cache.put(USES, new Response(JSON.stringify(now)));
    });
  }

  /**
   * @param {string} key
   * @param {number} bytes
   * @param {Response} content
   */
  async #keep(key, bytes, content) {
    this.#used.set(key, bytes);
    await this.#attempt(bytes, (cache) => cache.put(key, content));
  }

  /**
   * @template Value
   * @param {number} bytes that are moved
   * @param {(cache: Cache) => Promise<Value>} work
   * @returns {Promise<Value | undefined>} nothing where it fails: the disk may be full, or the storage damaged
   */
  async #attempt(bytes, work) {
    const cache = this.#cache;
    if (!cache) return undefined;
    try {
      return await within(PATIENCE_MS + bytes / BYTES_PER_MS, work(cache), () => {
        this.#cache = undefined;
        return tooLate();
      });
    } catch {
      return undefined;
    }
  }
}

/**
 * @param {Cache} cache
 * @returns {Promise<Record<string, Use>>}
 */
async function readUses(cache) {
  try {
    const uses = await (await cache.match(USES))?.json();
    return typeof uses === "object" && uses !== null ? uses : {};
  } catch {
    return {};
  }
}

function tooLate() {
  return new Error("the browser's cache gives no answer");
}
