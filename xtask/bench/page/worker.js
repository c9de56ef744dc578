// @ts-check
/// <reference lib="webworker" />
// One engine with one network, kept loaded; answers one request after the other. Not a module: LiteRT.js loads its script as
// only other workers can.

// The meter comes before every engine.
const parts = import("./meter.js").then(async ({ meter }) => ({ meter, ...(await import("./engines.js")) }));

/**
 * @typedef {{ kind: "open", engine: string, device: "webgpu" | "webnn" | "cpu", threads: number, model: Uint8Array,
 *   input: Float32Array, shape: number[] }} Open
 * @typedef {Open | { kind: "run", count: number } | { kind: "output" } | { kind: "meter" }} Request
 */

/** @type {() => Promise<Float32Array>} */
let run;
/** @type {Float32Array} */
let output;

/** @param {Request} request */
async function answer(request) {
  const { ENGINES, meter } = await parts;
  switch (request.kind) {
    case "open": {
      const { model, shape } = request;
      const engine = ENGINES[request.engine];
      const input = engine.arrange?.(request.input, shape) ?? request.input;
      const open = await engine.prepare(request);
      const started = performance.now();
      const opened = await open(model, shape);
      run = () => opened.run(input, shape);
      output = await run();
      return { firstMs: performance.now() - started };
    }
    case "run": {
      const times = [];
      for (let turn = 0; turn < request.count; turn++) {
        const started = performance.now();
        await run();
        times.push(performance.now() - started);
      }
      return times;
    }
    case "output":
      return Array.from(output);
    case "meter": {
      const before = meter();
      await run();
      const after = meter();
      return {
        dispatches: after.dispatches - before.dispatches,
        readBacks: after.readBacks - before.readBacks,
        bytesReadBack: after.bytesReadBack - before.bytesReadBack,
        wasmBytes: after.wasmBytes,
        peakBufferBytes: after.peakBufferBytes,
      };
    }
  }
}

self.addEventListener("message", async ({ data }) => {
  try {
    self.postMessage({ value: await answer(data) });
  } catch (error) {
    self.postMessage({ failure: error instanceof Error ? `${error.message}` : String(error) });
  }
});
// A panic inside an asynchronous call leaves its promise unsettled and surfaces here.
self.addEventListener("unhandledrejection", ({ reason }) => self.postMessage({ failure: String(reason) }));
self.addEventListener("error", ({ message }) => self.postMessage({ failure: message }));
