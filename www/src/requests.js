// @ts-check
// Network requests of the page. Blobs and data URLs are in memory and make none.

/** Network requests of the page since `start`. */
export class RequestCounter {
  #count = 0;
  #counting = false;
  #since = 0;
  #purposes = 0;
  /** @type {PerformanceObserver} */
  #observer;

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#observer = new PerformanceObserver((list) => {
      // Browsers may tell late of what was requested before.
      const isNew = (/** @type {PerformanceEntry} */ { name, startTime }) => /^https?:/.test(name) && startTime >= this.#since;
      const fetched = list.getEntries().filter(isNew);
      if (!this.#counting || this.#purposes > 0 || fetched.length === 0) return;
      this.#count += fetched.length;
      onChange();
    });
    this.#observer.observe({ type: "resource" });
  }

  /** Counts from now on. */
  start() {
    this.#observer.takeRecords();
    this.#counting = true;
    this.#since = performance.now();
    this.#count = 0;
  }

  /** Stops counting, before something is loaded on purpose. */
  stop() {
    this.#counting = false;
  }

  /**
   * Leaves out what is fetched on purpose meanwhile.
   *
   * @template T
   * @param {Promise<T>} fetching
   */
  async leaveOut(fetching) {
    this.#purposes += 1;
    try {
      return await fetching;
    } finally {
      this.#observer.takeRecords();
      this.#purposes -= 1;
      this.#since = performance.now();
    }
  }

  /** Requests so far; nothing while not counting. */
  get count() {
    return this.#counting ? this.#count : undefined;
  }
}
