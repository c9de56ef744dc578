// @ts-check
/// <reference lib="webworker" />
// What the worker asks the browser about its GPU: never without end, and a lost device is told at once.

import { textOf } from "./errors.js";
import { within } from "./time-limit.js";

/** An adapter or device that has not come by then does not come. */
const ANSWER_MS = 10_000;
/** A GPU that was lost is there again after so long, if at all, and is asked for so often. */
const RETURN_MS = 2_000;
const RETRY_MS = 100;

/** WebGPU's types are not in every TypeScript library yet. */
function navigatorGpu() {
  return /** @type {any} */ (navigator).gpu;
}

/**
 * Limits how long adapters and devices are waited for. The module's GPU layer calls the browser by itself, so the limits are
 * where it calls.
 *
 * @param {(message: string) => void} onLost called when a device goes away that nobody has destroyed
 */
export function guardGpu(onLost) {
  const gpu = navigatorGpu();
  if (!gpu) return;
  limit(gpu, "requestAdapter", (adapter) => {
    if (!adapter) return;
    limit(adapter, "requestDevice", async (device) => {
      const { reason, message } = await device.lost;
      if (reason !== "destroyed") onLost(message);
    });
  });
}

/**
 * @param {any} owner
 * @param {string} name of what gives a promise
 * @param {(answer: any) => void} meet
 */
function limit(owner, name, meet) {
  const ask = owner[name].bind(owner);
  owner[name] = async (/** @type {unknown[]} */ ...options) => {
    const late = () => new Error(`\`${name}\` gave no answer in ${ANSWER_MS / 1000} s`);
    const answer = await within(ANSWER_MS, ask(...options), late);
    meet(answer);
    return answer;
  };
}

/**
 * Why there is no WebGPU, where the browser itself knows, or what the adapter is called.
 *
 * @param {boolean} isRestart a lost GPU takes a moment to come back
 * @returns {Promise<{ obstacle?: string, name?: string }>} never rejects
 */
export async function findAdapter(isRestart) {
  if (!navigatorGpu()) return { obstacle: "this browser has no WebGPU" };
  const until = performance.now() + (isRestart ? RETURN_MS : 0);
  try {
    for (;;) {
      const adapter = await navigatorGpu().requestAdapter({ powerPreference: "high-performance" });
      if (adapter) return { name: nameOf(adapter.info) };
      if (performance.now() >= until) return { obstacle: "the browser offers no WebGPU adapter" };
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  } catch (error) {
    return { obstacle: `the browser offers no WebGPU adapter: ${textOf(error)}` };
  }
}

/**
 * Browsers name the adapter to scripts, not to the GPU layer of the module.
 *
 * @param {any} info
 */
function nameOf(info) {
  const names = [info?.vendor, info?.architecture, info?.device, info?.description].filter(Boolean);
  return names.length > 0 ? names.join(" ") : undefined;
}
