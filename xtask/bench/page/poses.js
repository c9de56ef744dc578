// @ts-check
// Poses: our task `pose` and MediaPipe's Pose Landmarker look at the same frames in turns.

import { fetchFrames } from "./clip.js";

/**
 * @typedef {[number, number][]} Points of a person, pixels
 * @typedef {{ look: (picture: ImageData, timeMs: number) => Promise<Points[]>, describe: () => object, close: () => void }} Viewer
 */

/** Between two frames. */
const STEP_MS = 40;

/** @type {Map<string, Viewer & { timeMs: number }>} */
const viewers = new Map();
/** @type {ImageData[]} */
let pictures = [];

/** @param {Parameters<typeof fetchFrames>[0]} clip */
export async function readClip(clip) {
  pictures = await fetchFrames(clip);
}

/** @type {Record<string, (people: number, threads: number | undefined) => Promise<Viewer>>} */
const OPEN = {
  async affectlens(people, threads) {
    const { load } = await import("/affectlens/index.js");
    const lens = await load({ device: "cpu", tasks: ["pose"], people, threads, weights: "/affectlens-weights/" });
    return {
      async look(picture, timeMs) {
        const report = await lens.analyze(picture, { timeMs });
        return report.people.map(({ keypoints }) => keypoints.map(([x, y]) => [x, y]));
      },
      describe: () => ({ ...lens.device, ...lens.timings }),
      close: () => lens.dispose(),
    };
  },
  async mediapipe(people) {
    const { FilesetResolver, PoseLandmarker } = await import("/tasks-vision/vision_bundle.mjs");
    const files = await FilesetResolver.forVisionTasks("/tasks-vision/wasm");
    const landmarker = await PoseLandmarker.createFromOptions(files, {
      baseOptions: { modelAssetPath: "/models/pose_landmarker_lite.task", delegate: "CPU" },
      runningMode: "VIDEO",
      numPoses: people,
    });
    return {
      async look(picture, timeMs) {
        const { landmarks } = landmarker.detectForVideo(picture, timeMs);
        return landmarks.map((points) => points.map(({ x, y }) => [x * picture.width, y * picture.height]));
      },
      describe: () => ({}),
      close: () => landmarker.close(),
    };
  },
};

/**
 * Opens a pipeline and looks at the first frame; gives the milliseconds that it took.
 *
 * @param {string} name
 * @param {string} engine
 * @param {number} people that are looked for at most
 * @param {number} [threads]
 */
export async function open(name, engine, people, threads) {
  const started = performance.now();
  const viewer = await OPEN[engine](people, threads);
  viewers.set(name, { ...viewer, timeMs: 0 });
  await look(name, [0]);
  return { firstMs: performance.now() - started, facts: viewer.describe() };
}

/**
 * Looks at frames as those of a stream; gives the milliseconds and the people of each.
 *
 * @param {string} name
 * @param {readonly number[]} frames
 */
export async function look(name, frames) {
  const viewer = viewers.get(name);
  if (!viewer) throw new Error(`${name} is not open`);
  const seen = [];
  for (const frame of frames) {
    const picture = pictures[frame % pictures.length];
    viewer.timeMs += STEP_MS;
    const started = performance.now();
    const people = await viewer.look(picture, viewer.timeMs);
    seen.push({ ms: performance.now() - started, people });
  }
  return seen;
}

/** @param {string} name */
export function close(name) {
  viewers.get(name)?.close();
  viewers.delete(name);
}
