// @ts-check
// The engines that take turns, each behind the same steps: arrange the input and prepare (not timed), open, run.

/**
 * @typedef {{ device: "webgpu" | "webnn" | "cpu", threads: number }} Place
 * @typedef {{ run: (input: Float32Array, shape: number[]) => Promise<Float32Array> }} Opened
 * @typedef {{ arrange?: (input: Float32Array, shape: number[]) => Float32Array,
 *   prepare: (place: Place) => Promise<(model: Uint8Array, shape: number[]) => Promise<Opened>> }} Engine
 *   a shape of three numbers is that of sound, `[1, 1, samples]`, one of four that of pictures, channels first
 */

/** @type {Record<string, Engine>} */
export const ENGINES = {
  affectlens: {
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
    prepare: ({ device, threads }) =>
      prepareOnnxruntime({ webgpu: "ort.webgpu", webnn: "ort.all", cpu: "ort.wasm" }[device], device, threads),
  },
  // The build for browsers whose WebAssembly can wait for a promise.
  onnxruntimeJspi: {
    prepare: ({ device, threads }) => prepareOnnxruntime("ort.jspi", device, threads),
  },
  litert: {
    arrange: channelsLast,
    async prepare({ device, threads }) {
      const { loadAndCompile, loadLiteRt, Tensor } = await import("/litert/dist/index.js");
      return async (model, [batch, channels, height, width]) => {
        // In a worker the module's script does not know where it lies.
        const locateFile = (/** @type {string} */ name) => `/litert/wasm/${name}`;
        const mainScriptUrlOrBlob = locateFile("litert_wasm_threaded_internal.js");
        Object.assign(self, { Module: { locateFile, mainScriptUrlOrBlob } });
        await loadLiteRt("/litert/wasm/", { threads: threads > 1, jspi: device === "webgpu" });
        const accelerator = device === "webgpu" ? "webgpu" : "wasm";
        const options = { accelerator, cpuOptions: { numThreads: threads }, gpuOptions: { precision: "fp32" } };
        const compiled = await loadAndCompile(model, options);
        if (device === "webgpu" && !compiled.isFullyAccelerated) throw new Error("only a part of it runs on WebGPU");
        return {
          async run(input) {
            const tensor = new Tensor(input, [batch, height, width, channels]);
            const [output] = await compiled.run([tensor]);
            const values = await output.data();
            tensor.delete();
            output.delete();
            return values;
          },
        };
      };
    },
  },
};

/** @param {string} build @param {string} device @param {number} threads */
async function prepareOnnxruntime(build, device, threads) {
  const { env, InferenceSession, Tensor } = await import(`/onnxruntime/${build}.min.mjs`);
  env.wasm.wasmPaths = "/onnxruntime/";
  env.wasm.numThreads = threads;
  const provider = { webgpu: "webgpu", webnn: { name: "webnn", deviceType: "cpu" }, cpu: "wasm" }[device];
  return async (/** @type {Uint8Array} */ model, /** @type {number[]} */ [batch]) => {
    const freeDimensionOverrides = { batch };
    const session = await InferenceSession.create(model, { executionProviders: [provider], freeDimensionOverrides });
    return {
      async run(/** @type {Float32Array} */ input, /** @type {number[]} */ shape) {
        const { output } = await session.run({ input: new Tensor("float32", input, shape) });
        const values = await output.getData();
        output.dispose();
        return values;
      },
    };
  };
}

/** @param {Float32Array} input @param {number[]} shape channels first */
function channelsLast(input, [batch, channels, height, width]) {
  const pixels = height * width;
  const arranged = new Float32Array(input.length);
  for (let picture = 0; picture < batch; picture++) {
    const start = picture * channels * pixels;
    for (let channel = 0; channel < channels; channel++) {
      for (let pixel = 0; pixel < pixels; pixel++) {
        arranged[start + pixel * channels + channel] = input[start + channel * pixels + pixel];
      }
    }
  }
  return arranged;
}
