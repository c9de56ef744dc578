// @ts-check
// Streams: our tasks and MediaPipe's Pose and Face Landmarker look at the same frames in turns.

import { fetchFrames } from "./clip.js";

/**
 * @typedef {[number, number][]} Points of a person or a face, pixels
 * @typedef {{ look: (picture: ImageData, timeMs: number) => Promise<Points[]>, describe: () => object, close: () => void }} Viewer
 * @typedef {{ tasks: string[], most: number, threads?: number }} Wanted tasks of ours, people or faces that MediaPipe looks
 *   for at most, and we of people, threads of ours
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

/** @type {Record<string, (wanted: Wanted) => Promise<Viewer>>} */
const OPEN = {
  async affectlens({ tasks, most, threads }) {
    const { load } = await import("/affectlens/index.js");
    const lens = await load({ device: "cpu", tasks, people: most, threads, weights: "/affectlens-weights/" });
    const areFaces = !tasks.includes("pose");
    if (areFaces) await lens.configure({ landmarks: true });
    return {
      async look(picture, timeMs) {
        const report = await lens.analyze(picture, { timeMs });
        const found = areFaces
          ? report.faces.flatMap(({ landmarks }) => (landmarks ? [landmarks] : []))
          : report.people.map(({ keypoints }) => keypoints);
        return found.map((points) => points.map(([x, y]) => [x, y]));
      },
      describe: () => ({ ...lens.device, ...lens.timings }),
      close: () => lens.dispose(),
    };
  },
  poseLandmarker: ({ most }) =>
    openMediapipe("PoseLandmarker", "pose_landmarker_lite.task", { numPoses: most }, ({ landmarks }) => landmarks),
  faceLandmarker: ({ most }) =>
    openMediapipe(
      "FaceLandmarker",
      "face_landmarker.task",
      { numFaces: most, outputFaceBlendshapes: true },
      ({ faceLandmarks }) => faceLandmarks,
    ),
};

/**
 * @param {string} task
 * @param {string} bundle
 * @param {object} options
 * @param {(result: any) => { x: number, y: number }[][]} found points relative to the picture
 * @returns {Promise<Viewer>}
 */
async function openMediapipe(task, bundle, options, found) {
  const { FilesetResolver, ...tasks } = await import("/tasks-vision/vision_bundle.mjs");
  const files = await FilesetResolver.forVisionTasks("/tasks-vision/wasm");
  const landmarker = await tasks[task].createFromOptions(files, {
    baseOptions: { modelAssetPath: `/models/${bundle}`, delegate: "CPU" },
    runningMode: "VIDEO",
    ...options,
  });
  return {
    async look(picture, timeMs) {
      const all = found(landmarker.detectForVideo(picture, timeMs));
      return all.map((points) => points.map(({ x, y }) => [x * picture.width, y * picture.height]));
    },
    describe: () => ({}),
    close: () => landmarker.close(),
  };
}

/**
 * Opens a pipeline and looks at the first frame; gives the milliseconds that it took.
 *
 * @param {string} name
 * @param {string} engine
 * @param {Wanted} wanted
 */
export async function open(name, engine, wanted) {
  const started = performance.now();
  const viewer = await OPEN[engine](wanted);
  viewers.set(name, { ...viewer, timeMs: 0 });
  await look(name, [0]);
  return { firstMs: performance.now() - started, facts: viewer.describe() };
}

/**
 * Looks at frames as those of a stream; gives the milliseconds and the points of each.
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
    const points = await viewer.look(picture, viewer.timeMs);
    seen.push({ ms: performance.now() - started, points });
  }
  return seen;
}

/** @param {string} name */
export function close(name) {
  viewers.get(name)?.close();
  viewers.delete(name);
}
