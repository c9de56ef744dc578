// @ts-check
/// <reference lib="webworker" />
// Helps the worker that owns the model with networks on the CPU, and sleeps while there is nothing to do.

import { instantiate } from "./cpu-instance.js";
import { textOf } from "./errors.js";

/**
 * @typedef {import("./cpu-instance.js").Start} Start
 * @typedef {import("./cpu-instance.js").Started} Started
 */

const scope = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));

scope.addEventListener("message", ({ data }) => help(data), { once: true });

/** @param {Start} start */
async function help({ module, memory, thread, stack }) {
  let exports;
  try {
    const instance = await instantiate(module, memory);
    exports = instance.exports;
    exports.__stack_pointer.value = stack;
    tell({});
    // Never returns to the event loop: the owner ends it by ending this worker.
    for (;;) Atomics.wait(instance.turn, 0, exports.serve(thread));
  } catch (error) {
    // Whoever waits for this one's part is not to wait for ever.
    exports?.fail();
    tell({ error: textOf(error) });
  }
}

/** @param {Started} started */
function tell(started) {
  scope.postMessage(started);
}
