// @ts-check
// One instance of the small wasm module that runs networks on the CPU; all instances share a memory.

/**
 * @typedef {{
 *   __heap_base: WebAssembly.Global,
 *   __stack_pointer: WebAssembly.Global,
 *   turn(): number,
 *   workspace_len(program: number, batch: number, threads: number): number,
 *   run(program: number, workspace: number, batch: number, threads: number): number,
 *   serve(thread: number): number,
 *   fail(): void,
 * }} Exports see `cpu/src/module.rs`
 * @typedef {{ module: WebAssembly.Module, memory: WebAssembly.Memory, thread: number, stack: number }} Start what a
 *   helping worker is told
 * @typedef {{ error?: string }} Started
 */

/** Milliseconds for which a thread gives way to others; browsers round it up. */
const REST_MS = 0.05;

/**
 * @param {WebAssembly.Module} module
 * @param {WebAssembly.Memory} memory
 */
export async function instantiate(module, memory) {
  /** @type {Int32Array} the word that changes when a run opens or closes */
  let turn;
  const env = {
    memory,
    wake: () => void Atomics.notify(turn, 0),
    rest: () => void Atomics.wait(turn, 0, Atomics.load(turn, 0), REST_MS),
  };
  const instance = await WebAssembly.instantiate(module, { env });
  const exports = /** @type {Exports} */ (/** @type {unknown} */ (instance.exports));
  turn = new Int32Array(memory.buffer, exports.turn(), 1);
  return { exports, turn };
}
