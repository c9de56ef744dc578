// Videos in every state that a page can hand one over in.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";

import { ffmpeg, makeSite, media, openBrowser, serve } from "./harness.mjs";

const LIMIT = { timeout: 120_000 };

const folder = makeSite();
let server;
let browser;
let page;

before(async () => {
  ffmpeg("-i", join(media, "cap12_edit.webm"), "-t", "2", "-c", "copy", join(folder, "face.webm"));
  ffmpeg("-f", "lavfi", "-i", "sine=duration=1", join(folder, "sound.webm"));
  writeFileSync(join(folder, "broken.webm"), "no video");
  server = await serve(folder);
  browser = await openBrowser();
}, LIMIT);

after(async () => {
  await browser?.close();
  await server?.close();
});

beforeEach(async () => {
  await page?.close();
  page = await browser.newPage();
  await page.goto(server.url);
  await page.evaluate(async () => {
    const { load } = await import("/library/index.js");
    const make = (fields) => Object.assign(document.createElement("video"), { muted: true, ...fields });
    const on = (video, event) => new Promise((resolve) => video.addEventListener(event, resolve, { once: true }));
    const failure = (promise) => promise.then(() => "no failure", ({ code, message }) => [code, message]);
    const lens = await load({ device: "cpu", weights: "/weights/", warmUp: false });
    Object.assign(globalThis, { make, on, failure, lens });
  });
});

for (const preload of ["the default", "metadata", "auto"]) {
  test(`in \`loadeddata\` with ${preload} to preload a video shows its first frame, ten times of ten`, LIMIT, async () => {
    const reports = await page.evaluate(async (preload) => {
      const looks = [];
      for (let time = 0; time < 10; time++) {
        const video = make(preload === "the default" ? {} : { preload });
        const report = new Promise((resolve, reject) => {
          video.onloadeddata = () => lens.analyze(video).then(resolve, reject);
        });
        video.src = "/face.webm";
        looks.push(await report);
      }
      return looks;
    }, preload);
    for (const { time_ms, faces } of reports) assert.deepEqual([time_ms, faces.length], [0, 1]);
  });
}

test("a video that has only begun to load is waited for", LIMIT, async () => {
  const { fresh, playing } = await page.evaluate(async () => {
    const fresh = await lens.analyze(make({ src: "/face.webm" }));
    const video = make({ src: "/face.webm" });
    void video.play();
    return { fresh, playing: await lens.analyze(video) };
  });
  assert.equal(fresh.faces.length, 1);
  assert.equal(playing.faces.length, 1);
});

test("paused, ended and sought videos show the frame that they stand at", LIMIT, async () => {
  const times = await page.evaluate(async () => {
    const video = make({ src: "/face.webm" });
    await on(video, "loadeddata");
    const time = async () => {
      const { time_ms, faces } = await lens.analyze(video);
      return faces.length === 1 && Math.round(time_ms / 40) * 40;
    };
    video.currentTime = 1;
    const seeking = await time();
    video.currentTime = 0.4;
    await on(video, "seeked");
    const paused = await time();
    video.currentTime = 1.9;
    await video.play();
    await on(video, "ended");
    return { seeking, paused, ended: (await time()) >= 1900 };
  });
  assert.deepEqual(times, { seeking: 1000, paused: 400, ended: true });
});

test("a video that will show nothing is refused with what to do", LIMIT, async () => {
  const refused = await page.evaluate(async () => {
    const broken = make({ src: "/broken.webm" });
    const hasFailed = on(broken, "error");
    const early = failure(lens.analyze(broken));
    await hasFailed;
    const unloaded = make({ preload: "none", src: "/face.webm" });
    const endless = make({ srcObject: new MediaStream() });
    const started = performance.now();
    const refused = {
      none: await failure(lens.analyze(make({}))),
      early: await early,
      broken: await failure(lens.analyze(broken)),
      sound: await failure(lens.analyze(make({ src: "/sound.webm" }))),
    };
    const quick = performance.now() - started;
    [refused.unloaded, refused.endless] = await Promise.all([failure(lens.analyze(unloaded)), failure(lens.analyze(endless))]);
    return { refused, quick, slow: performance.now() - started };
  });
  const codes = Object.values(refused.refused).map(([code]) => code);
  assert.deepEqual(codes, Array(6).fill("picture-empty"));
  const { none, early, broken, sound, unloaded, endless } = Object.fromEntries(
    Object.entries(refused.refused).map(([name, [, message]]) => [name, message]),
  );
  assert.equal(none, "the video has nothing to show: set its `src` or `srcObject`");
  assert.match(early, /^this browser cannot play the video: /);
  assert.match(broken, /^this browser cannot play the video: /);
  assert.equal(sound, "the video has sound and no picture");
  assert.match(unloaded, /^the video showed no picture within 5 s: set its `preload` to "auto" or play it/);
  assert.match(endless, /^the stream of the video gave no picture within 5 s: play it/);
  assert.ok(refused.quick < 2_500, `what cannot be mended took ${refused.quick} ms`);
  assert.ok(refused.slow < 15_000, `nothing is waited for any longer than ${refused.slow} ms`);
});
