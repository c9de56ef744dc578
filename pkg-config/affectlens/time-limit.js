// @ts-check
// What a browser may never answer is waited for only so long.

/**
 * What `work` gives, unless it takes longer than that.
 *
 * @template Value
 * @param {number} limitMs
 * @param {Promise<Value>} work goes on if it is late; what becomes of it then is nobody's business
 * @param {() => Error} late what is thrown then
 * @returns {Promise<Value>}
 */
export async function within(limitMs, work, late) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(late()), limitMs);
  });
  try {
    return await Promise.race([work, /** @type {Promise<never>} */ (limit)]);
  } finally {
    clearTimeout(timer);
  }
}
