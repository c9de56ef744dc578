// @ts-check
// The personal head in the browser's own storage for this page: it never leaves it.

const STORE = "affectlens-own-face";
/** Nothing is fetched from there: it is the key in the store. */
const KEY = "/own-face.safetensors";

/** @returns {Promise<Uint8Array | undefined>} nothing where none is kept, or nothing can be */
export async function keptHead() {
  try {
    const kept = await (await caches.open(STORE)).match(KEY);
    return kept && new Uint8Array(await kept.arrayBuffer());
  } catch {
    return undefined;
  }
}

/** @param {Uint8Array} head */
export async function keepHead(head) {
  const store = await caches.open(STORE);
  await store.put(KEY, new Response(new Uint8Array(head)));
}

export async function forgetHead() {
  if ("caches" in globalThis) await caches.delete(STORE);
}
