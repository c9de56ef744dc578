// @ts-check
// The whole frame: our expression pipeline and Human's look at the same pictures in turns.

import { fetchFrames } from "./clip.js";
import { meter } from "./meter.js";

/**
 * @typedef {{ box: number[], embedding?: number }} Face
 * @typedef {{ look: (picture: ImageData) => Promise<Face[]>, describe: () => Promise<object>, meter: () => Promise<any> }} Viewer
 */

/** @type {Map<string, Viewer>} */
const viewers = new Map();
/** @type {ImageData[]} */
let pictures = [];

/** @param {Parameters<typeof fetchFrames>[0]} clip */
export async function readClip(clip) {
  pictures = await fetchFrames(clip);
}

/** @type {Record<string, (device: string) => Promise<Viewer>>} */
const OPEN = {
  async affectlens(device) {
    const { load } = await import("/affectlens/index.js");
    const workerUrl = new URL("./package_worker.js", import.meta.url);
    const lens = await load({ device, weights: "/affectlens-weights/", workerUrl });
    const channel = new BroadcastChannel("meter");
    return {
      async look(picture) {
        const { faces } = await lens.analyze(picture);
        return faces;
      },
      describe: async () => ({ ...lens.device, ...lens.timings }),
      meter: () =>
        new Promise((resolve) => {
          channel.onmessage = ({ data }) => data.counts && data.device === device && resolve(data.counts);
          channel.postMessage({ device });
        }),
    };
  },
  async human() {
    const { default: Human } = await import("/human/dist/human.esm.js");
    const always = { skipFrames: 0, skipTime: 0 };
    const human = new Human({
      backend: "wasm",
      wasmPath: "/tfjs-wasm/",
      modelBasePath: "/human/models/",
      cacheSensitivity: 0,
      cacheModels: false,
      warmup: "none",
      async: true,
      debug: false,
      filter: { enabled: false },
      gesture: { enabled: false },
      face: {
        enabled: true,
        detector: { rotation: false, maxDetected: 1, ...always },
        mesh: { enabled: false },
        attention: { enabled: false },
        iris: { enabled: false },
        antispoof: { enabled: false },
        liveness: { enabled: false },
        emotion: { enabled: true, ...always },
        description: { enabled: true, ...always },
      },
      body: { enabled: false },
      hand: { enabled: false },
      object: { enabled: false },
      segmentation: { enabled: false },
    });
    await human.load();
    return {
      async look(picture) {
        const { face, error } = await human.detect(picture);
        if (error) throw new Error(error);
        return face.map((/** @type {any} */ it) => ({
          box: it.box,
          embedding: it.embedding?.length ?? 0,
          emotions: it.emotion?.length ?? 0,
        }));
      },
      describe: async () => ({
        version: human.version,
        backend: human.tf.getBackend(),
        threaded: human.tf.env().get("WASM_HAS_MULTITHREAD_SUPPORT"),
        models: human.models.loaded(),
        threads: human.tf.getThreadsCount?.(),
      }),
      meter: async () => meter(),
    };
  },
};

/** Loads a pipeline and looks at the first picture; gives the milliseconds that it took. */
export async function open(/** @type {string} */ name, /** @type {string} */ engine, /** @type {string} */ device) {
  const started = performance.now();
  const viewer = await OPEN[engine](device);
  await viewer.look(pictures[0]);
  viewers.set(name, viewer);
  return { firstMs: performance.now() - started, facts: await viewer.describe() };
}

/** Looks at pictures; gives the milliseconds and the faces of each. */
export async function look(/** @type {string} */ name, /** @type {number[]} */ indices) {
  const seen = [];
  for (const index of indices) {
    const picture = pictures[index % pictures.length];
    const started = performance.now();
    const faces = await viewer(name).look(picture);
    seen.push({ ms: performance.now() - started, faces });
  }
  return seen;
}

/** What one picture asks of WebGPU, and the memory held. */
export async function count(/** @type {string} */ name, /** @type {number} */ index) {
  const before = await viewer(name).meter();
  await look(name, [index]);
  const after = await viewer(name).meter();
  return {
    dispatches: after.dispatches - before.dispatches,
    readBacks: after.readBacks - before.readBacks,
    bytesReadBack: after.bytesReadBack - before.bytesReadBack,
    wasmBytes: after.wasmBytes,
    peakBufferBytes: after.peakBufferBytes,
  };
}

/** @param {string} name */
function viewer(name) {
  const found = viewers.get(name);
  if (!found) throw new Error(`${name} is not open`);
  return found;
}
