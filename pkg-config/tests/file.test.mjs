// What is made of a video file, in Node: with a worker and a reader of files that are fakes.

import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";

import { FakeFrame, LOADED, fakeWorkers, setGlobals, settle, stopClock } from "./fakes.mjs";

/** Stands in for the reader of files; `globalThis.video` says what the file holds. */
const READER = `
  export const MP4 = 1, QTFF = 2, WEBM = 3, MATROSKA = 4;
  export class UnsupportedInputFormatError extends Error {}
  export class InputDisposedError extends Error {}
  export class BlobSource { constructor(blob) { this.blob = blob; } }
  export class UrlSource { constructor(url) { this.url = url; } }
  export class Input {
    constructor({ source }) { globalThis.video.source = source; }
    async getTracks() { return globalThis.video.tracks; }
    async getFormat() { return globalThis.video.format; }
    async computeDuration() { return globalThis.video.longest(); }
    async getVideoTracks() {
      if (globalThis.video.isUnknown) throw new UnsupportedInputFormatError("no such format");
      return globalThis.video.tracks.filter(({ isVideo }) => isVideo);
    }
    dispose() { globalThis.video.isDisposed = true; }
  }
  export class VideoSampleSink {
    constructor(track) { this.track = track; }
    samples() { return globalThis.video.samples(this.track); }
  }
`;

const folder = mkdtempSync(join(tmpdir(), "affectlens-test-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const [reader, library] = [join(folder, "node_modules/mediabunny"), join(folder, "affectlens")];
mkdirSync(reader, { recursive: true });
writeFileSync(join(reader, "package.json"), JSON.stringify({ name: "mediabunny", type: "module", exports: "./index.js" }));
writeFileSync(join(reader, "index.js"), READER);
writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
cpSync(join(import.meta.dirname, "../affectlens"), library, { recursive: true });
const importCopy = (name) => import(pathToFileURL(join(library, name)));
const { load } = await importCopy("index.js");
const { analyzeFile } = await importCopy("file.js");
// Loaded when the first file is analysed, which takes longer than tests wait.
await importCopy("file-frames.js");

const WEIGHTS = { detector: new Uint8Array(1), backbone: new Uint8Array(1) };
const clip = new Blob([new Uint8Array(4)]);

/** A frame as the reader of files gives it. */
const sample = (timestamp, { rotation = 0, flip = false, width = 4, height = 4 } = {}) => {
  const frame = new FakeFrame({ width, height });
  const [displayWidth, displayHeight] = rotation % 180 === 0 ? [width, height] : [height, width];
  return {
    timestamp, duration: 0.04, rotation, flip, displayWidth, displayHeight,
    toVideoFrame: () => frame.clone(),
    draw: (context) => context.drawn.push(rotation),
    close: () => frame.close(),
  };
};

/** A file with these frames, 25 a second, on a clock of 1000 ticks unless it is told otherwise. */
function makeVideo({ seconds = [0, 0.04, 0.08], rotation = 0, flip = false, config = {}, decodes = true, firstOfSound, failure, resolution = 1000, endless = false, format = 1, codec = "aac", ends = 0.16, longest = () => 0.12 } = {}) {
  const track = {
    isVideo: true,
    isAudioTrack: () => false,
    getDecoderConfig: async () => ({ codec: "vp09", codedHeight: 300, ...config }),
    getInternalCodecId: async () => "xyz1",
    canDecode: async () => decodes,
    getTimeResolution: async () => resolution,
    getFirstTimestamp: async () => seconds[0] ?? 0,
    getDurationFromMetadata: async () => ends,
  };
  const opus = new Uint8Array(19);
  new DataView(opus.buffer).setUint16(10, 312, true);
  const sound = {
    isAudioTrack: () => true,
    getCodec: async () => codec,
    getDecoderConfig: async () => ({ codec, description: opus }),
    getTimeResolution: async () => 1000,
    getFirstTimestamp: async () => firstOfSound,
  };
  return {
    format,
    longest,
    tracks: firstOfSound === undefined ? [track] : [track, sound],
    given: 0,
    async *samples(of) {
      this.config = await of.getDecoderConfig();
      for (const second of seconds) {
        this.given += 1;
        yield sample(second, { rotation, flip });
      }
      if (endless) await new Promise(() => {});
      if (failure) throw failure;
    },
  };
}

/** A loaded lens whose worker reports each frame one later than it comes; `asked` are its requests. */
async function makeLens(context, video, answers = () => true) {
  setGlobals(context, { video, VideoDecoder: class {} });
  const asked = [];
  let frame = 0;
  let kept;
  fakeWorkers(context, (worker, request, id) => {
    if (request.kind === "load") return worker.done(id, structuredClone(LOADED));
    asked.push(request);
    if (!answers(request, worker, id)) return;
    if (request.kind !== "push") {
      const left = kept === undefined ? [] : [kept];
      kept = undefined;
      return worker.done(id, request.kind === "finish" ? left : undefined);
    }
    const ready = kept === undefined ? [] : [kept];
    kept = { frame: frame++, time_ms: request.timeMs, faces: [] };
    worker.done(id, ready);
  });
  const lens = await load({ weights: WEIGHTS, device: "cpu" });
  // It would wait for answers after the test.
  context.after(() => lens.dispose());
  return { lens, asked, kinds: () => asked.map(({ kind }) => kind) };
}

const failureOf = (promise) => promise.then(() => ["none", ""], ({ code, message }) => [code, message]);

test("every frame goes to the worker once, at its time, and its report comes back", async (context) => {
  const { lens, asked, kinds } = await makeLens(context, makeVideo({ seconds: [0.1, 0.133, 0.2], firstOfSound: -0.021 }));
  const progress = [];
  const reports = await analyzeFile(clip, lens, { settings: { halfWindow: 3 }, onProgress: (it) => progress.push(it) });
  await settle();
  assert.deepEqual(kinds(), ["beginFile", "push", "push", "push", "finish", "endFile"]);
  assert.deepEqual(asked[0].change, { faces: { halfWindow: 3 } });
  assert.deepEqual(reports.map(({ frame, time_ms }) => [frame, time_ms]), [[0, 100], [1, 133], [2, 200]]);
  assert.deepEqual(progress.map(({ frames, timeMs, durationMs }) => [frames, timeMs, durationMs]), [[1, 100, 160], [2, 133, 160], [3, 200, 160]]);
  assert.ok(progress.every(({ share, leftMs }) => share > 0 && share <= 1 && leftMs >= 0));
  assert.equal(FakeFrame.open.size, 0);
  assert.ok(globalThis.video.isDisposed);
});

test("times count from the start of the file in whole ticks, and what lies before it is not shown", async (context) => {
  const third = [-1 / 30, 0, 1 / 30, 2 / 30];
  const { lens } = await makeLens(context, makeVideo({ seconds: third, resolution: 15_360 }));
  const times = (await analyzeFile(clip, lens)).map(({ time_ms }) => time_ms);
  assert.deepEqual(times, [0, (512 * 1000) / 15_360, (1024 * 1000) / 15_360]);
  globalThis.video = makeVideo({ seconds: [2, 2.04], firstOfSound: 1 });
  assert.deepEqual((await analyzeFile(clip, lens)).map(({ time_ms }) => time_ms), [1000, 1040]);
  // The 312 samples that Opus gives before its first one, 6.5 ms, in WebM: 7 ticks.
  for (const [format, codec, start] of [[3, "opus", 14], [3, "vorbis", 7], [1, "opus", 7]]) {
    globalThis.video = makeVideo({ seconds: [0.007], firstOfSound: 0, format, codec });
    assert.deepEqual((await analyzeFile(clip, lens)).map(({ time_ms }) => time_ms), [start], codec);
  }
});

test("files without colour tags get those that the command line takes", async (context) => {
  const colours = async (config) => {
    globalThis.video = makeVideo({ config });
    await analyzeFile(clip, lens);
    const { matrix, fullRange, transfer } = globalThis.video.config.colorSpace;
    return [matrix, fullRange, transfer];
  };
  const { lens } = await makeLens(context, makeVideo());
  assert.deepEqual(await colours({}), ["smpte170m", false, "iec61966-2-1"]);
  assert.deepEqual(await colours({ codedHeight: 720 }), ["bt709", false, "iec61966-2-1"]);
  assert.deepEqual(await colours({ colorSpace: { matrix: "bt709", fullRange: true } }), ["bt709", true, "iec61966-2-1"]);
  assert.deepEqual(await colours({ colorSpace: { matrix: "bt2020-ncl", transfer: "pq", fullRange: false } }), ["bt2020-ncl", false, "pq"]);
});

test("a frame that lies on its side is turned by the worker, a mirrored one is drawn", async (context) => {
  const { lens, asked } = await makeLens(context, makeVideo({ seconds: [0], rotation: 90 }));
  await analyzeFile(clip, lens);
  assert.equal(asked[1].turn, 90);
  globalThis.video = makeVideo({ seconds: [0], rotation: 90, flip: true });
  asked.length = 0;
  const drawn = [];
  const upright = new FakeFrame();
  setGlobals(context, {
    OffscreenCanvas: class {
      getContext = () => ({ drawn });
      transferToImageBitmap = () => upright;
    },
  });
  await analyzeFile(clip, lens);
  assert.deepEqual(drawn, [90]);
  assert.deepEqual([asked[1].picture.image, asked[1].turn], [upright, 0]);
});

test("few frames are under way at once, however slow the worker is", async (context) => {
  const waiting = [];
  const video = makeVideo({ seconds: Array.from({ length: 50 }, (_, index) => index / 25) });
  const { lens } = await makeLens(context, video, ({ kind }, worker, id) => {
    if (kind === "push") waiting.push(() => worker.done(id, []));
    return kind !== "push";
  });
  let most = 0;
  const done = analyzeFile(clip, lens);
  for (let answered = 0; answered < 50; ) {
    await settle();
    most = Math.max(most, waiting.length);
    assert.ok(video.given - answered <= 4, `${video.given} frames were decoded, ${answered} answered`);
    waiting.shift()();
    answered += 1;
  }
  await done;
  assert.equal(most, 3);
});

test("with `onReport` nothing is kept, and its exception ends the analysis", async (context) => {
  const { lens, kinds } = await makeLens(context, makeVideo());
  const seen = [];
  assert.deepEqual(await analyzeFile(clip, lens, { onReport: ({ frame }) => seen.push(frame) }), []);
  assert.deepEqual(seen, [0, 1, 2]);
  globalThis.video = makeVideo();
  const mistake = new Error("a mistake");
  await assert.rejects(analyzeFile(clip, lens, { onReport: () => { throw mistake; } }), mistake);
  await settle();
  assert.equal(kinds().at(-1), "endFile");
  assert.equal(FakeFrame.open.size, 0);
});

for (const [what, options] of [["the worker", {}], ["the decoder", { seconds: [0], endless: true }]]) {
  test(`it ends at once when it is told to, whatever ${what} does`, async (context) => {
    stopClock(context);
    const { lens, kinds } = await makeLens(context, makeVideo(options), ({ kind }) => kind !== "push" || what === "the decoder");
    const control = new AbortController();
    let ended;
    analyzeFile(clip, lens, { signal: control.signal }).catch((error) => (ended = error));
    await settle();
    const reason = new Error("not wanted any more");
    control.abort(reason);
    await settle();
    assert.equal(ended, reason);
    assert.equal(kinds().at(-1), "endFile");
    assert.equal(FakeFrame.open.size, 0);
    assert.ok(globalThis.video.isDisposed);
    const early = AbortSignal.abort(reason);
    await assert.rejects(analyzeFile(clip, lens, { signal: early }), reason);
  });
}

test("a decoder that gives nothing for a minute is given up", async (context) => {
  const clock = stopClock(context);
  const { lens } = await makeLens(context, makeVideo({ seconds: [0], endless: true }));
  let failure;
  analyzeFile(clip, lens).catch(({ code, message }) => (failure = [code, message]));
  await clock.pass(59_000);
  assert.equal(failure, undefined);
  await clock.pass(2_000);
  assert.deepEqual(failure, ["video-missing", "nothing came of the Blob for 60 s (1 frames were read)"]);
});

test("frames before the broken one are reported", async (context) => {
  const { lens } = await makeLens(context, makeVideo({ failure: new Error("bad bits") }));
  const seen = [];
  const failure = await failureOf(analyzeFile(clip, lens, { onReport: ({ frame }) => seen.push(frame) }));
  assert.deepEqual(failure, ["video-malformed", "the Blob cannot be decoded: bad bits (3 frames were read)"]);
  assert.deepEqual(seen, [0, 1, 2]);
});

test("a file that ends before its last frame is said to be cut off, where it tells", async (context) => {
  const { lens } = await makeLens(context, makeVideo({ ends: 3 }));
  const seen = [];
  const failure = await failureOf(analyzeFile(clip, lens, { onReport: ({ frame }) => seen.push(frame) }));
  assert.deepEqual(failure, ["video-malformed", "the Blob is cut off or broken: it has frames for 0.1 s of 3.0 s (3 frames were read)"]);
  assert.deepEqual(seen, [0, 1, 2]);
  // In Matroska all tracks share one length: another one may be longer than the video.
  globalThis.video = makeVideo({ ends: 3, format: 3, longest: () => 3 });
  assert.equal((await analyzeFile(clip, lens)).length, 3);
  globalThis.video = makeVideo({ ends: 3, format: 3, longest: () => 0.4 });
  assert.deepEqual(await failureOf(analyzeFile(clip, lens)), failure);
  const broken = () => {
    throw new Error("bad bits");
  };
  globalThis.video = makeVideo({ ends: 3, format: 3, longest: broken });
  assert.deepEqual(await failureOf(analyzeFile(clip, lens)), ["video-malformed", "the Blob cannot be decoded: bad bits (3 frames were read)"]);
});

test("what is no video, or not for this browser, is refused by name", async (context) => {
  const { lens, kinds } = await makeLens(context, makeVideo());
  const refusal = async (video, source = new File(["x"], "a.mp4")) => {
    globalThis.video = video;
    return failureOf(analyzeFile(source, lens));
  };
  assert.deepEqual(await refusal({ ...makeVideo(), isUnknown: true }), ["video-malformed", "the file `a.mp4` is no video in MP4, QuickTime, WebM or Matroska"]);
  assert.deepEqual(await refusal({ ...makeVideo(), tracks: [] }), ["video-malformed", "the file `a.mp4` has no video stream"]);
  assert.deepEqual(await refusal(makeVideo({ decodes: false }), "/b.mp4"), ["video-unsupported", "this browser does not decode the codec `vp09` of `https://page.test/b.mp4`"]);
  assert.equal(globalThis.video.source.url, "https://page.test/b.mp4");
  assert.deepEqual(await refusal(makeVideo({ seconds: [] })), ["video-malformed", "the video has no frames"]);
  assert.deepEqual(kinds(), ["beginFile", "finish", "endFile"]);
  const unfetched = { ...makeVideo(), samples: () => ({ next: () => Promise.reject(new TypeError("Failed to fetch")) }) };
  assert.deepEqual(await refusal(unfetched, "b.mp4"), ["video-missing", "`https://page.test/b.mp4` cannot be fetched: Failed to fetch (0 frames were read)"]);
  setGlobals(context, { VideoDecoder: undefined });
  assert.equal((await refusal(makeVideo()))[0], "video-unsupported");
});

test("arguments of the wrong kind are refused by name", async (context) => {
  const { lens } = await makeLens(context, makeVideo());
  for (const [parameters, message] of [
    [[clip, {}], "lens is Object, expected what `load` resolves to"],
    [[7, lens], "source is 7, expected a File, a Blob, a string or a URL"],
    [["http://[", lens], 'source is "http://[", expected an address that this page can resolve'],
    [[clip, lens, { progress: 1 }], 'options is "progress", expected one of onProgress, onReport, settings, signal'],
    [[clip, lens, { onProgress: 1 }], "onProgress is 1, expected a function"],
    [[clip, lens, { settings: { halfWindow: -1 } }], "halfWindow is -1, expected a whole number from 0 to 1000"],
  ]) {
    assert.deepEqual(await failureOf(analyzeFile(...parameters)), ["bad-argument", message]);
  }
});

test("meanwhile the lens has no live stream; afterwards it has", async (context) => {
  stopClock(context);
  const { lens, kinds } = await makeLens(context, makeVideo({ seconds: [0], endless: true }));
  const control = new AbortController();
  const done = failureOf(analyzeFile(clip, lens, { signal: control.signal }));
  await settle();
  for (const [call, work] of [
    ["analyze", () => lens.analyze(new ImageData())],
    ["configure", () => lens.configure({ halfWindow: 1 })],
    ["calibrate", () => lens.calibrate()],
    ["reset", () => lens.reset()],
    ["analyzeFile", () => analyzeFile(clip, lens)],
  ]) {
    setGlobals(context, { ImageData: class {} });
    const [code, message] = await failureOf(work());
    assert.deepEqual([code, message], ["bad-argument", `${call}: the lens is analysing a file; wait for its end, or load another lens`]);
  }
  control.abort();
  await done;
  await lens.reset();
  assert.deepEqual(kinds().slice(-2), ["endFile", "reset"]);
});

test("a worker that fails ends the file, and the next one knows nothing of it", async (context) => {
  const { lens, kinds } = await makeLens(context, makeVideo(), ({ kind }, worker) => {
    if (kind !== "push") return true;
    worker.say({ kind: "stopped", code: "crashed", message: "out of memory" });
    return false;
  });
  assert.deepEqual(await failureOf(analyzeFile(clip, lens)), ["crashed", "out of memory"]);
  assert.equal(FakeFrame.open.size, 0);
  await lens.reset();
  assert.equal(kinds().at(-1), "reset");
  assert.ok(!kinds().includes("endFile"));
});
