// @ts-check
// Times networks and whole frames in one Chromium process, the engines taking turns, and writes what it finds as JSON.
//
//   node browser.mjs PLAN OUT
//
// PLAN is a JSON file: see the type below. `cargo xtask bench` writes it.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { argv, env, stderr } from "node:process";

import { chromium } from "playwright-core";

import { serve } from "./server.mjs";

/**
 * @typedef {{ name: string, batch: number, shape: number[], files: Record<string, string>, isHeavy: boolean }} Network file by
 *   format
 * @typedef {{ file: string, width: number, height: number }} Clip raw RGBA frames
 * @typedef {{ models: string, packages: string, clip: Clip, twoPeople: Clip, networks: Network[], firsts: number, rounds: number,
 *   secondsPerNetwork: number, frames: number, parts: ("browser" | "frame" | "pose" | "growth")[], tolerance: number,
 *   toleranceOnGpu: number }} Plan
 * @typedef {{ name: string, engine: string, device: string, threads: number }} Contestant
 * @typedef {{ name: string, clip: Clip, tasks: string[], most: number }} Case tasks of ours, people or faces looked for at most
 * @typedef {{ what: string, theirs: string, cases: Case[], points: number, least?: { share: number, px: number } }} Stream
 *   the first points are compared; with `least` both must see as many in that share of the frames, and their points must lie
 *   within so many pixels of each other
 */

const plan = /** @type {Plan} */ (JSON.parse(readFileSync(argv[2], "utf8")));
const here = import.meta.dirname;

/** What each engine reads. */
const FORMATS = { affectlens: "safetensors", onnxruntime: "onnx", onnxruntimeJspi: "onnx", litert: "tflite" };
const OURS = "affectlens";

/** @type {Contestant[]} */
const CONTESTANTS = [
  ...[OURS, "onnxruntime", "litert"].flatMap((engine) => {
    const name = engine === "litert" ? "LiteRT" : engine;
    return [
      { name: `${name}, WebGPU`, engine, device: "webgpu", threads: 1 },
      { name: `${name}, CPU, 1 thread`, engine, device: "cpu", threads: 1 },
      { name: `${name}, CPU, 2 threads`, engine, device: "cpu", threads: 2 },
    ];
  }),
  { name: "onnxruntime with JSPI, WebGPU", engine: "onnxruntimeJspi", device: "webgpu", threads: 1 },
  { name: "onnxruntime, WebNN", engine: "onnxruntime", device: "webnn", threads: 1 },
];
/** All others are compared with it before anything is timed. */
const REFERENCE = "onnxruntime, CPU, 1 thread";
/** One visit lasts about this long, so that a short network is not timed alone with a cold cache. */
const VISIT_MS = 150;
/** An engine's threads may spin for a while after its turn. */
const PAUSE_MS = 30;

const QUIET = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"];
const UNTOUCHED = ["--disable-component-update", "--disable-sync", "--mute-audio", "--enable-unsafe-webgpu"];
const WEBNN = "WebMachineLearningNeuralNetwork";
const HARDWARE = [`--enable-features=Vulkan,WebGPU,${WEBNN}`, "--use-angle=vulkan", "--ignore-gpu-blocklist"];
const SOFTWARE = [`--enable-features=${WEBNN}`, "--use-webgpu-adapter=swiftshader"];

const folders = {
  page: join(here, "page"),
  models: plan.models,
  clip: join(plan.clip.file, ".."),
  affectlens: join(plan.packages, "affectlens"),
  "affectlens-weights": join(plan.packages, "affectlens-weights"),
  onnxruntime: join(here, "node_modules/onnxruntime-web/dist"),
  litert: join(here, "node_modules/@litertjs/core"),
  "litert-utils": join(here, "node_modules/@litertjs/wasm-utils/dist"),
  "tasks-vision": join(here, "node_modules/@mediapipe/tasks-vision"),
  human: join(here, "node_modules/@vladmandic/human"),
  "tfjs-wasm": join(here, "node_modules/@tensorflow/tfjs-backend-wasm/dist"),
};
/** @type {Stream} */
const FACES = {
  what: "faces as a stream",
  theirs: "faceLandmarker",
  cases: [
    { name: "action units and landmarks", clip: plan.clip, tasks: ["action-units"], most: 1 },
    {
      name: "expression, valence and arousal, action units and landmarks",
      clip: plan.clip,
      tasks: ["expression", "valence-arousal", "action-units"],
      most: 1,
    },
  ],
  points: 478,
  least: { share: 0.8, px: 5 },
};
/** One person, two where one is there, and two. @type {Stream} */
const POSES = {
  what: "poses",
  theirs: "poseLandmarker",
  cases: [
    { name: "one person", clip: plan.clip, tasks: ["pose"], most: 1 },
    { name: "two are looked for, one is there", clip: plan.clip, tasks: ["pose"], most: 2 },
    { name: "two people", clip: plan.twoPeople, tasks: ["pose"], most: 2 },
  ],
  // Head and shoulders: the rest is not in the picture.
  points: 13,
};

/** A mosaic's size, pixels, and the part of each of the clip's frames in it: a face, an eighth of the mosaic's side. */
const MOSAIC = { width: 1920, height: 1440, side: 4, part: [100, 100, 220, 165] };
const FACES_IN_MOSAIC = [1, 2, 4, 8, 12, 16];
/** Pictures of one face, which is the same part of each. */
const SIZES = [
  { width: 640, height: 480 },
  { width: 1280, height: 960 },
  { width: 1920, height: 1440 },
  { width: 2560, height: 1920 },
  { width: 3264, height: 2448 },
];
const MORE_TASKS = ["expression", "valence-arousal", "action-units", "pose", "violence"];
/** Of those that whole frames have: a large one takes long. */
const GROWTH_SHARE = 0.25;

const server = await serve(folders, { litert: { "@litertjs/wasm-utils": "/litert-utils/index.js" } });

const { browser, page, adapter, isHardware } = await openBrowser();
// Some engines call everything that they log an error.
page.on("console", (message) => {
  if (message.type() === "error" && !/^(INFO|WARNING):/.test(message.text())) say(`    page: ${message.text()}`);
});
try {
  /** @type {Record<string, unknown>} */
  const found = { chromium: browser.version(), adapter, networks: [] };
  if (plan.parts.includes("browser")) {
    for (const network of plan.networks) {
      /** @type {unknown[]} */ (found.networks).push(await timeNetwork(network));
    }
  }
  if (plan.parts.includes("frame")) {
    found.frame = await timeFrames();
    found.faces = await timeStreams(FACES);
  }
  if (plan.parts.includes("pose")) found.pose = await timeStreams(POSES);
  if (plan.parts.includes("growth")) found.growth = await timeGrowth();
  writeFileSync(argv[3], JSON.stringify(found, null, 2));
} finally {
  await browser.close();
  server.close();
}

/** A hardware adapter if Chromium finds one, else the one in software. */
async function openBrowser() {
  for (const flags of [HARDWARE, SOFTWARE]) {
    const browser = await chromium.launch({
      executablePath: env.AFFECTLENS_CHROMIUM ?? "/usr/bin/chromium",
      args: [...QUIET, ...UNTOUCHED, ...flags],
      // Otherwise Playwright's own list turns features off again.
      ignoreDefaultArgs: ["--disable-component-update"],
    });
    const page = await browser.newPage();
    // Nothing is told to anybody: MediaPipe would report its use.
    await page.route(({ origin }) => origin !== server.url, (route) => route.abort());
    await page.goto(`${server.url}/page/index.html`);
    const adapter = await page.evaluate(async () => {
      const gpu = /** @type {any} */ (navigator).gpu;
      const found = await gpu?.requestAdapter({ powerPreference: "high-performance" });
      const { vendor, architecture, device, description } = found?.info ?? {};
      return [vendor, architecture, device, description].filter(Boolean).join(" ");
    });
    const isHardware = adapter !== "" && !/swiftshader|llvmpipe|lavapipe/i.test(adapter);
    if (flags === SOFTWARE || isHardware) return { browser, page, adapter: adapter || "none", isHardware };
    await browser.close();
  }
  throw new Error("unreachable");
}

/** @param {Network} network */
async function timeNetwork({ name, batch, shape, files, isHeavy }) {
  say(`    ${name}, batch ${batch}`);
  /** @type {Map<string, number[]>} */
  const firsts = new Map();
  /** @type {Record<string, string>} */
  const failures = {};
  const entered = CONTESTANTS.filter(({ engine, device }) => {
    const isEndless = isHeavy && device === "webgpu" && !isHardware;
    return FORMATS[/** @type {keyof typeof FORMATS} */ (engine)] in files && !isEndless;
  });
  let contestants = entered;
  const leave = (/** @type {Contestant} */ contestant, /** @type {string} */ failure) => {
    failures[contestant.name] = failure;
    contestants = contestants.filter((it) => it !== contestant);
    say(`      ${contestant.name}: ${failure}`);
  };
  for (let round = 0; round < plan.firsts; round++) {
    for (const contestant of contestants) {
      const model = `/models/${files[FORMATS[/** @type {keyof typeof FORMATS} */ (contestant.engine)]]}`;
      try {
        const ms = await inPage("networks", "open", { ...contestant, model, input: `/models/${name}.input`, shape });
        firsts.set(contestant.name, [...(firsts.get(contestant.name) ?? []), ms]);
      } catch (error) {
        leave(contestant, textOf(error));
      }
    }
  }
  const outputs = new Map();
  for (const { name } of contestants) outputs.set(name, await inPage("networks", "ask", name, { kind: "output" }));
  const differences = differencesOf(outputs);
  for (const contestant of contestants) {
    const difference = differences.get(contestant.name) ?? Infinity;
    const tolerance = isHardware && contestant.device === "webgpu" ? plan.toleranceOnGpu : plan.tolerance;
    if (difference <= tolerance) continue;
    const text = `differs from ${REFERENCE} by ${difference}, tolerated ${tolerance}`;
    if (contestant.engine === OURS) throw new Error(`${contestant.name} ${text}`);
    leave(contestant, text);
    outputs.delete(contestant.name);
    await inPage("networks", "close", contestant.name);
  }

  /** @type {Map<string, number[]>} */
  const times = new Map(contestants.map(({ name }) => [name, []]));
  const visit = async (/** @type {Contestant} */ { name }, /** @type {number} */ count) => {
    await page.waitForTimeout(PAUSE_MS);
    return inPage("networks", "ask", name, { kind: "run", count });
  };
  // Apart, so that a slow GPU in software does not leave the CPU few rounds.
  let rounds = Infinity;
  for (const isGpu of [true, false]) {
    const group = contestants.filter(({ device }) => (device === "webgpu") === isGpu);
    // The first turn warms up and says how many runs fill a visit.
    const counts = new Map();
    let roundMs = 0;
    for (const contestant of group) {
      const [ms] = await visit(contestant, 1);
      const count = Math.max(1, Math.min(50, Math.round(VISIT_MS / ms)));
      counts.set(contestant.name, count);
      roundMs += count * ms + PAUSE_MS;
    }
    const affordable = Math.round((500 * plan.secondsPerNetwork) / roundMs);
    const turns = Math.max(3, Math.min(plan.rounds, affordable));
    for (let round = 0; round < turns; round++) {
      // Every other round runs backwards: nobody always follows the same neighbour.
      for (const contestant of round % 2 ? group.toReversed() : group) {
        times.get(contestant.name)?.push(...(await visit(contestant, counts.get(contestant.name))));
      }
    }
    rounds = Math.min(rounds, turns);
  }
  const results = [];
  for (const { name, engine, device, threads } of entered) {
    if (!outputs.has(name)) {
      results.push({ name, engine, device, threads, failure: failures[name] });
      continue;
    }
    const counts = await inPage("networks", "ask", name, { kind: "meter" });
    const first = firsts.get(name) ?? [];
    const row = {
      ...{ name, engine, device, threads, first_ms: median(first), firsts_ms: first },
      ...{ median_ms: median(times.get(name)), p95_ms: quantile(times.get(name), 0.95), times_ms: times.get(name) },
      dispatches: device === "webgpu" ? counts.dispatches : null,
      read_backs: device === "webgpu" ? counts.readBacks : null,
      bytes_read_back: device === "webgpu" ? counts.bytesReadBack : null,
      wasm_bytes: counts.wasmBytes,
      peak_buffer_bytes: counts.peakBufferBytes,
      difference: differences.get(name),
    };
    say(`      ${name}: first ${row.first_ms.toFixed(0)} ms, median ${row.median_ms.toFixed(2)} ms`);
    results.push(row);
    await inPage("networks", "close", name);
  }
  return { name, batch, rounds, results };
}

/**
 * Largest difference from the reference, relative to its largest value.
 *
 * @param {Map<string, number[]>} outputs
 * @returns {Map<string, number>}
 */
function differencesOf(outputs) {
  const expected = outputs.get(REFERENCE);
  if (!expected) throw new Error(`${REFERENCE} gives nothing to compare with`);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const differences = new Map();
  for (const [name, output] of outputs) {
    if (output.length !== expected.length) {
      throw new Error(`${name} gives ${output.length} values, expected ${expected.length}`);
    }
    // A value that is no number must not pass.
    const all = output.map((value, index) => Math.abs(value - expected[index]));
    differences.set(name, all.some(Number.isNaN) ? NaN : all.reduce((most, value) => Math.max(most, value), 0) / largest);
  }
  return differences;
}

async function timeFrames() {
  say("    whole frames");
  await inPage("frames", "readClip", addressed(plan.clip));
  const contestants = [
    { name: "affectlens, CPU", engine: "affectlens", device: "cpu" },
    { name: "human, wasm", engine: "human", device: "cpu" },
  ];
  /** @type {any[]} */
  const rows = [];
  for (const { name, engine, device } of contestants) {
    const { firstMs, facts } = await inPage("frames", "open", name, engine, device);
    // Two more: just-in-time compilers and the face's window settle.
    await inPage("frames", "look", name, [0, 0]);
    rows.push({ name, engine, device, facts, first_ms: firstMs, times_ms: [], faces: [], frames_with_face: 0 });
  }
  for (let frame = 0; frame < plan.frames; frame++) {
    for (const row of frame % 2 ? rows.toReversed() : rows) {
      await page.waitForTimeout(PAUSE_MS);
      const [{ ms, faces }] = await inPage("frames", "look", row.name, [frame]);
      row.times_ms.push(ms);
      row.faces.push(faces[0]?.box ?? null);
      row.frames_with_face += faces.length > 0 ? 1 : 0;
    }
  }
  const [ours, theirs] = rows;
  const overlaps = ours.faces.map((/** @type {number[]} */ box, /** @type {number} */ frame) => overlap(box, theirs.faces[frame]));
  const same = overlaps.filter((/** @type {number} */ value) => value > 0.3).length;
  if (same < 0.8 * plan.frames) {
    throw new Error(`both pipelines see the same face in only ${same} of ${plan.frames} frames`);
  }
  for (const row of rows) {
    Object.assign(row, { median_ms: median(row.times_ms), p95_ms: quantile(row.times_ms, 0.95) });
    row.counts = await inPage("frames", "count", row.name, 0);
    delete row.faces;
    say(`      ${row.name}: first ${row.first_ms.toFixed(0)} ms, median ${row.median_ms.toFixed(2)} ms`);
  }
  return { frames: plan.frames, same_face: same, results: rows, webgpu: await timeFramesOnWebgpu() };
}

async function timeFramesOnWebgpu() {
  const name = "affectlens, WebGPU";
  const { firstMs, facts } = await inPage("frames", "open", name, "affectlens", "webgpu");
  await inPage("frames", "look", name, [0]);
  const seen = await inPage("frames", "look", name, [1, 2, 3, 4, 5, 6, 7]);
  const times = seen.map((/** @type {{ ms: number }} */ { ms }) => ms);
  // Its face has been tracked for nine frames by now.
  const counts = await inPage("frames", "count", name, 8);
  say(`      ${name}: first ${firstMs.toFixed(0)} ms, median ${median(times).toFixed(2)} ms`);
  return { name, facts, first_ms: firstMs, median_ms: median(times), p95_ms: quantile(times, 0.95), counts };
}

/**
 * Frames of a stream, ours against a landmarker of MediaPipe, which comes last.
 *
 * @param {Stream} stream
 */
async function timeStreams({ what, theirs: engine, cases, points, least }) {
  say(`    ${what}`);
  const found = [];
  for (const { name: what, clip, tasks, most } of cases) {
    await inPage("streams", "readClip", addressed(clip));
    const contestants = [
      { name: "affectlens, CPU, 1 thread", engine: OURS, threads: 1 },
      { name: "affectlens, CPU, 2 threads", engine: OURS, threads: 2 },
      { name: "MediaPipe, CPU", engine, threads: undefined },
    ];
    /** @type {any[]} */
    const rows = contestants.map(({ name, engine, threads }) => ({
      ...{ name, engine, wanted: { tasks, most, threads }, firsts_ms: [], times_ms: [], points: [] },
    }));
    // The first time does not count: the browser has not seen any of the files yet.
    for (let round = 0; round <= plan.firsts; round++) {
      for (const row of round % 2 ? rows.toReversed() : rows) {
        await inPage("streams", "close", row.name);
        const { firstMs, facts } = await inPage("streams", "open", row.name, row.engine, row.wanted);
        row.facts = facts;
        if (round > 0) row.firsts_ms.push(firstMs);
      }
    }
    // Just-in-time compilers settle, and whoever is there is followed.
    for (const row of rows) await inPage("streams", "look", row.name, [0, 0, 0]);
    for (let frame = 0; frame < plan.frames; frame++) {
      for (const row of frame % 2 ? rows.toReversed() : rows) {
        await page.waitForTimeout(PAUSE_MS);
        // The first look brings the processor's caches back.
        const [, { ms, points }] = await inPage("streams", "look", row.name, [frame, frame]);
        row.times_ms.push(ms);
        row.points.push(points);
      }
    }
    const theirs = rows.at(-1);
    for (const row of rows) {
      const seen = /** @type {[number, number][][][]} */ (row.points);
      row.same_count = seen.filter((all, frame) => all.length === theirs.points[frame].length).length;
      row.off_px = median(seen.flatMap((all, frame) => apart(all, theirs.points[frame], points)));
      if (least && !(row.same_count >= least.share * plan.frames && row.off_px <= least.px)) {
        const share = `${row.same_count} of ${plan.frames} frames`;
        throw new Error(`${what}: ${row.name} sees as many as MediaPipe in ${share}, ${row.off_px} px away`);
      }
    }
    for (const row of rows) {
      Object.assign(row, { first_ms: median(row.firsts_ms), median_ms: median(row.times_ms), p95_ms: quantile(row.times_ms, 0.95) });
      delete row.points;
      delete row.wanted;
      say(`      ${what}: ${row.name}: first ${row.first_ms.toFixed(0)} ms, median ${row.median_ms.toFixed(2)} ms`);
      await inPage("streams", "close", row.name);
    }
    found.push({ name: what, most, frames: plan.frames, width: clip.width, height: clip.height, results: rows });
  }
  return found;
}

/** How a frame of ours grows, on one thread. */
async function timeGrowth() {
  say("    what a frame grows with");
  await inPage("growth", "readClip", addressed(plan.clip));
  const count = Math.max(4, Math.round(GROWTH_SHARE * plan.frames));
  const look = async (/** @type {string} */ what, /** @type {any} */ picture) => {
    const { times, found } = await inPage("growth", "look", picture, count);
    const row = { ...picture, found: median(found), median_ms: median(times), p95_ms: quantile(times, 0.95) };
    say(`      ${what}: ${row.found} faces, median ${row.median_ms.toFixed(1)} ms`);
    return row;
  };
  const aboutFaces = MORE_TASKS.slice(0, 3);
  await inPage("growth", "open", aboutFaces, "full-range");
  const one = { side: 1, shown: 1, part: [0, 0, plan.clip.width, plan.clip.height] };
  const cell = { ...one, width: MOSAIC.width / MOSAIC.side, height: MOSAIC.height / MOSAIC.side, part: MOSAIC.part };
  const alone = (await look("a picture of a mosaic alone", cell)).median_ms;
  const faces = [];
  for (const shown of FACES_IN_MOSAIC) {
    faces.push({ ...(await look(`${shown} in a mosaic`, { ...MOSAIC, shown })), alone_ms: shown * alone });
  }
  await inPage("growth", "open", aboutFaces, "short-range");
  const sizes = [];
  for (const size of SIZES) sizes.push(await look(`${size.width}x${size.height}`, { ...size, ...one }));
  const tasks = [];
  for (let number = 1; number <= MORE_TASKS.length; number++) {
    const names = MORE_TASKS.slice(0, number);
    await inPage("growth", "open", names, "short-range");
    const { width, height } = plan.clip;
    const row = await look(names.join(", "), { width, height, ...one });
    tasks.push({ ...row, tasks: names, wasm_bytes: await inPage("growth", "memory") });
  }
  await inPage("growth", "close");
  return { frames: count, faces, sizes, tasks };
}

/**
 * How far each point lies from that of the nearest of the others, pixels.
 *
 * @param {[number, number][][]} ours
 * @param {[number, number][][]} theirs
 * @param {number} count the first ones alone are compared
 */
function apart(ours, theirs, count) {
  return ours.flatMap((points) => {
    const distances = theirs.map((others) =>
      points.slice(0, count).map(([x, y], index) => Math.hypot(x - others[index][0], y - others[index][1])),
    );
    const sum = (/** @type {number[]} */ values) => values.reduce((total, value) => total + value, 0);
    return distances.sort((one, other) => sum(one) - sum(other))[0] ?? [];
  });
}

/** @param {Clip} clip */
function addressed({ file, ...size }) {
  return { ...size, url: `/clip/${file.split("/").at(-1)}` };
}

/** Share of the union of two boxes, x, y, width, height, that both cover. */
function overlap(/** @type {number[] | null} */ a, /** @type {number[] | null} */ b) {
  if (!a || !b) return 0;
  const side = (/** @type {number} */ axis) =>
    Math.max(0, Math.min(a[axis] + a[axis + 2], b[axis] + b[axis + 2]) - Math.max(a[axis], b[axis]));
  const both = side(0) * side(1);
  return both / (a[2] * a[3] + b[2] * b[3] - both);
}

/**
 * Calls an exported function of a module of the page.
 *
 * @param {string} module
 * @param {string} verb
 * @param {...any} parameters
 * @returns {Promise<any>}
 */
function inPage(module, verb, ...parameters) {
  return page.evaluate(
    async ({ module, verb, parameters }) => (await import(`/page/${module}.js`))[verb](...parameters),
    { module, verb, parameters },
  );
}

function median(/** @type {number[] | undefined} */ values) {
  return quantile(values, 0.5);
}

function quantile(/** @type {number[] | undefined} */ values, /** @type {number} */ share) {
  const sorted = (values ?? []).toSorted((a, b) => a - b);
  return sorted[Math.round(share * (sorted.length - 1))];
}

/** One line, for a table. */
function textOf(/** @type {unknown} */ error) {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n")[0].replace(/^page\.evaluate: (Error: )?/, "");
}

function say(/** @type {string} */ text) {
  stderr.write(`${text}\n`);
}
