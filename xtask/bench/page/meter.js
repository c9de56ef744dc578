// @ts-check
// Counts what an engine asks of WebGPU and how much memory it holds. Must be imported before the engine.
//
// Every engine in this benchmark runs under it, so its cost, an addition for each call, falls on all alike.

/** @type {Set<WebAssembly.Memory>} */
const memories = new Set();
const gpu = { dispatches: 0, readBacks: 0, bytesReadBack: 0, buffers: 0, bufferBytes: 0, peakBufferBytes: 0 };

/** What has been asked since the page or worker started. */
export function meter() {
  let wasmBytes = 0;
  for (const memory of memories) wasmBytes += memory.buffer.byteLength;
  return { ...gpu, wasmBytes };
}

/** @param {WebAssembly.Imports | undefined} imports @param {WebAssembly.Instance} instance */
function remember(imports, instance) {
  const tables = [instance.exports, ...Object.values(imports ?? {})];
  for (const value of tables.flatMap((table) => Object.values(table))) {
    if (value instanceof WebAssembly.Memory) memories.add(value);
  }
}

const { instantiate, instantiateStreaming } = WebAssembly;

WebAssembly.instantiate = /** @type {any} */ (
  async (/** @type {any} */ source, /** @type {WebAssembly.Imports | undefined} */ imports) => {
    const result = /** @type {any} */ (await instantiate(source, imports));
    remember(imports, result.instance ?? result);
    return result;
  }
);

WebAssembly.instantiateStreaming = async (source, imports) => {
  const result = await instantiateStreaming(source, imports);
  remember(imports, result.instance);
  return result;
};

/**
 * @param {any} type
 * @param {string} name
 * @param {(self: any, parameters: any[], result: any) => void} observe
 */
function watch(type, name, observe) {
  const original = type?.prototype[name];
  if (!original) return;
  type.prototype[name] = function (/** @type {any[]} */ ...parameters) {
    const result = original.apply(this, parameters);
    observe(this, parameters, result);
    return result;
  };
}

const scope = /** @type {any} */ (globalThis);
/** Sizes of buffers that are neither destroyed nor collected. */
const live = new Map();
let lastBuffer = 0;
const numbers = new WeakMap();
// An engine may leave a buffer to the garbage collector.
const collected = new FinalizationRegistry((/** @type {number} */ number) => release(number));

/** @param {number} number */
function release(number) {
  gpu.bufferBytes -= live.get(number) ?? 0;
  live.delete(number);
  gpu.buffers = live.size;
}

for (const name of ["dispatchWorkgroups", "dispatchWorkgroupsIndirect"]) {
  watch(scope.GPUComputePassEncoder, name, () => gpu.dispatches++);
}
watch(scope.GPUBuffer, "mapAsync", (buffer, [mode, offset = 0, size = buffer.size - offset]) => {
  if (mode !== scope.GPUMapMode.READ) return;
  gpu.readBacks++;
  gpu.bytesReadBack += size;
});
watch(scope.GPUDevice, "createBuffer", (_device, [{ size }], buffer) => {
  const number = ++lastBuffer;
  live.set(number, size);
  numbers.set(buffer, number);
  collected.register(buffer, number);
  gpu.buffers = live.size;
  gpu.bufferBytes += size;
  gpu.peakBufferBytes = Math.max(gpu.peakBufferBytes, gpu.bufferBytes);
});
watch(scope.GPUBuffer, "destroy", (buffer) => release(numbers.get(buffer)));
