// @ts-check
// The engines that take turns, each behind the same three steps: prepare (not timed), open, run.

/**
 * @typedef {{ device: "webgpu" | "cpu", threads: number }} Place
 * @typedef {{ run: (input: Float32Array, shape: number[]) => Promise<Float32Array> }} Opened
 * @typedef {{ format: string, prepare: (place: Place) => Promise<(model: Uint8Array, shape: number[]) => Promise<Opened>> }} Engine
 *   a shape of three numbers is that of sound, `[1, 1, samples]`
 */

/** @type {Record<string, Engine>} */
export const ENGINES = {
  affectlens: {
    format: "safetensors",
    async prepare({ device, threads }) {
      const { default: initialise, Network, SoundNetwork } = await import("/affectlens/affectlens.js");
      const { CpuWorkers } = await import("/affectlens/cpu.js");
      return async (model, shape) => {
        await initialise({ module_or_path: "/affectlens/affectlens_bg.wasm" });
        const workers = new CpuWorkers(threads);
        if (shape.length === 3) {
          const network = await SoundNetwork.open(device, model, shape[2], workers);
          if (workers.report.fallback) throw new Error(workers.report.fallback);
          return { run: (input) => network.run(input) };
        }
        const network = await Network.open(device, model, workers);
        if (workers.report.fallback) throw new Error(workers.report.fallback);
        return { run: (input, [batch]) => network.run(input, batch) };
      };
    },
  },
  onnxruntime: {
    format: "onnx",
    async prepare({ device, threads }) {
      const build = device === "webgpu" ? "ort.webgpu.min.mjs" : "ort.wasm.min.mjs";
      const { env, InferenceSession, Tensor } = await import(`/onnxruntime/${build}`);
      env.wasm.wasmPaths = "/onnxruntime/";
      env.wasm.numThreads = threads;
      const executionProviders = [device === "webgpu" ? "webgpu" : "wasm"];
      return async (model) => {
        const session = await InferenceSession.create(model, { executionProviders });
        return {
          async run(input, shape) {
            const { output } = await session.run({ input: new Tensor("float32", input, shape) });
            const values = await output.getData();
            output.dispose();
            return values;
          },
        };
      };
    },
  },
};
