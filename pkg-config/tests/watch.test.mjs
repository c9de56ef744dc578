// Which frames of a video are analysed, in Node.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { AffectLensError } from "../affectlens/errors.js";
import { watch } from "../affectlens/watch.js";

/** A video that shows frames when it is told to. */
class Video extends EventTarget {
  paused = false;
  ended = false;
  seeking = false;
  srcObject = null;
  currentTime = 0;
  #callback;
  #presented = 0;

  get [Symbol.toStringTag]() {
    return "HTMLVideoElement";
  }

  requestVideoFrameCallback(callback) {
    this.#callback = callback;
    return 1;
  }

  cancelVideoFrameCallback() {
    this.#callback = undefined;
  }

  get isFollowed() {
    return this.#callback !== undefined;
  }

  show(seconds, presented = 1) {
    // While it is moved it says already where it goes.
    if (!this.seeking) this.currentTime = seconds;
    this.#presented += presented;
    this.#callback?.(5000 + 1000 * seconds, { mediaTime: seconds, presentedFrames: this.#presented });
  }

  tell(event) {
    this.dispatchEvent(new Event(event));
  }
}

/** A track of a stream, and the stream. */
class Track extends EventTarget {
  readyState = "live";
}
const streamOf = (track) => ({ getVideoTracks: () => [track], getTracks: () => [track], [Symbol.toStringTag]: "MediaStream" });

const page = Object.assign(new EventTarget(), { hidden: false });
const settle = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  page.hidden = false;
  globalThis.document = page;
});

/** A video, what was asked about it, and what was told. */
function follow(options = {}, video = new Video()) {
  const seen = { times: [], reports: [], dropped: 0, failures: [] };
  let finish;
  const lens = {
    analyze(picture, { timeMs }) {
      assert.equal(picture, video);
      seen.times.push(timeMs);
      return new Promise((resolve, reject) => {
        finish = { resolve: () => resolve({ time_ms: timeMs }), reject };
      });
    },
  };
  const watching = watch(lens, video, {
    onReport: ({ time_ms }, { latencyMs }) => {
      assert.ok(latencyMs >= 0);
      seen.reports.push(time_ms);
    },
    onDrop: (count) => (seen.dropped += count),
    ...options,
  });
  const end = (error) => {
    if (error) finish.reject(error);
    else finish.resolve();
    return settle();
  };
  return { video, watching, seen, end };
}

test("while a video plays, frames that come meanwhile are dropped, and the next one is analysed", async () => {
  const { video, seen, end } = follow();
  for (const seconds of [0, 1, 2]) video.show(seconds);
  await end();
  assert.deepEqual([seen.times, seen.reports], [[0], [0]]);
  video.show(3);
  assert.deepEqual([seen.times, seen.dropped], [[0, 3000], 2]);
});

test("frames that the browser does not tell of count as dropped", async () => {
  const { video, seen } = follow();
  video.show(0, 7);
  video.show(1, 3);
  assert.equal(seen.dropped, 2);
});

test("the newest frame of a video that stands still is analysed, although it came meanwhile", async () => {
  const { video, seen, end } = follow();
  video.paused = true;
  for (const seconds of [0, 1, 2]) video.show(seconds);
  await end();
  assert.deepEqual(seen.times, [0, 2000]);
  await end();
  assert.deepEqual([seen.times, seen.dropped], [[0, 2000], 1], "once");
});

test("a frame that came meanwhile is analysed too where the video is paused after it", async () => {
  const { video, seen, end } = follow();
  for (const seconds of [0, 1]) video.show(seconds);
  await end();
  assert.deepEqual(seen.times, [0]);
  video.paused = true;
  video.tell("pause");
  assert.deepEqual(seen.times, [0, 1000]);
});

test("a video that stands still is looked at again on demand, at the same time; one that plays or is not followed is not", async () => {
  const { video, watching, seen, end } = follow();
  video.show(1);
  await end();
  watching.lookAgain();
  assert.deepEqual(seen.times, [1000]);
  video.paused = true;
  video.currentTime = 1.01;
  watching.lookAgain();
  assert.deepEqual(seen.times, [1000, 1000]);
  watching.lookAgain();
  await end();
  watching.stop();
  await end();
  watching.lookAgain();
  assert.deepEqual(seen.times, [1000, 1000, 1000]);
});

test("a report that was asked for before a jump is not told after it", async () => {
  const { video, seen, end } = follow();
  video.show(0);
  video.show(0.1);
  video.seeking = true;
  video.currentTime = 9;
  video.tell("seeking");
  await end();
  assert.deepEqual(seen.reports, []);
  video.show(0.2);
  assert.deepEqual(seen.times, [0], "one more of the place before");
  video.show(9);
  await end();
  assert.deepEqual(seen.reports, [9000]);
});

test("a video that was moved while it stands still is analysed there, though no frame comes", async (context) => {
  context.after(() => mock.timers.reset());
  const { video, seen, end } = follow();
  video.paused = true;
  video.show(0);
  await end();
  mock.timers.enable({ apis: ["setTimeout"] });
  video.tell("seeking");
  video.currentTime = 4;
  video.tell("seeked");
  mock.timers.tick(300);
  assert.deepEqual(seen.times, [0, 4000]);
  await end();
  video.tell("seeking");
  video.tell("seeked");
  video.show(5);
  mock.timers.tick(300);
  await end();
  assert.deepEqual(seen.times, [0, 4000, 5000], "once, where a frame came");
});

test("a hidden page analyses nothing, and goes on when it is shown", async () => {
  const { video, watching, seen, end } = follow();
  video.show(0);
  page.hidden = true;
  page.dispatchEvent(new Event("visibilitychange"));
  assert.deepEqual([watching.paused, video.isFollowed], [true, false]);
  await end();
  assert.deepEqual(seen.reports, [0], "what was under way is told");
  page.hidden = false;
  page.dispatchEvent(new Event("visibilitychange"));
  video.show(1);
  assert.deepEqual([watching.paused, seen.times], [false, [0, 1000]]);
  page.hidden = true;
  assert.equal(follow().video.isFollowed, false, "one that begins hidden");
});

test("stop, a signal, and a lens that is disposed end it, and nothing is told or asked after that", async () => {
  for (const how of ["stop", "signal", "disposed"]) {
    const controller = new AbortController();
    const { video, watching, seen, end } = follow({ signal: controller.signal });
    video.show(0);
    if (how === "stop") watching.stop();
    if (how === "signal") controller.abort();
    await end(how === "disposed" ? new AffectLensError("disposed", "the lens is disposed") : undefined);
    assert.equal(await watching.ended, "stopped", how);
    assert.deepEqual([seen.reports, video.isFollowed], [[], false], how);
  }
  const { video, watching } = follow({ signal: AbortSignal.abort() });
  assert.deepEqual([await watching.ended, video.isFollowed], ["stopped", false]);
});

test("a failure that passes costs one frame; the third in a row, and one that does not pass, end it", async () => {
  const lost = new AffectLensError("device-lost", "the GPU device was lost");
  const { video, watching, seen, end } = follow({ onError: (error) => seen.failures.push(error.code) });
  for (const error of [lost, lost, undefined, lost, lost, lost]) {
    video.show(0);
    await end(error);
  }
  await assert.rejects(watching.ended, lost);
  assert.deepEqual([seen.reports, seen.failures], [[0], Array(5).fill("device-lost")]);
  assert.equal(video.isFollowed, false);

  const other = follow();
  const refused = assert.rejects(other.watching.ended, { code: "picture-tainted" });
  other.video.show(0);
  await other.end(new AffectLensError("picture-tainted", "no"));
  await refused;
});

test("a mistake in the callback ends it, and is what it ended with", async () => {
  const { video, watching, end } = follow({
    onReport() {
      throw new TypeError("a mistake");
    },
  });
  const refused = assert.rejects(watching.ended, { name: "TypeError", message: "a mistake" });
  video.show(0);
  await end();
  await refused;
  assert.equal(video.isFollowed, false);
});

test("a stream has times from its first frame on, or of a clock; a track that ends is lost", async () => {
  for (const [clock, expected] of [[undefined, [0, 1000]], [(nowMs) => nowMs + 1, [7001, 8001]]]) {
    const video = new Video();
    const track = new Track();
    video.srcObject = streamOf(track);
    const { watching, seen, end } = follow({ clock }, video);
    for (const seconds of [2, 3]) {
      video.show(seconds);
      await end();
    }
    assert.deepEqual(seen.times, expected);
    track.dispatchEvent(new Event("ended"));
    assert.equal(await watching.ended, "lost");
  }
});

test("the end of a track that is shown no more is no loss, that of its follower is", async () => {
  const video = new Video();
  const [first, second] = [new Track(), new Track()];
  video.srcObject = streamOf(first);
  const { watching, seen } = follow({}, video);
  video.srcObject = streamOf(second);
  video.tell("loadeddata");
  first.dispatchEvent(new Event("ended"));
  video.show(0);
  assert.deepEqual(seen.times, [0]);
  second.dispatchEvent(new Event("ended"));
  assert.equal(await watching.ended, "lost");
});

test("a stream is shown in an element of its own, which is given up at the end", async () => {
  const made = Object.assign(new Video(), { play: () => Promise.resolve(), pause: () => (made.paused = true) });
  globalThis.document = Object.assign(new EventTarget(), { hidden: false, createElement: () => made });
  const times = [];
  const stream = streamOf(new Track());
  const watching = watch({ analyze: async (_, { timeMs }) => times.push(timeMs) }, stream);
  assert.deepEqual([made.srcObject, made.muted, made.playsInline], [stream, true, true]);
  made.show(0);
  watching.stop();
  assert.deepEqual([times, made.srcObject, made.paused], [[0], null, true]);
  const ended = Object.assign(new Track(), { readyState: "ended" });
  assert.throws(() => watch({ analyze() {} }, streamOf(ended)), { code: "picture-empty", message: /no live video track/ });
});

test("without requestVideoFrameCallback the video's clock is looked at whenever the screen is drawn", async (context) => {
  let draw;
  globalThis.requestAnimationFrame = (callback) => ((draw = callback), 1);
  globalThis.cancelAnimationFrame = () => (draw = undefined);
  context.after(() => {
    delete globalThis.requestAnimationFrame;
    delete globalThis.cancelAnimationFrame;
  });
  const video = Object.assign(new Video(), { requestVideoFrameCallback: undefined, readyState: 0 });
  const { watching, seen, end } = follow({}, video);
  const drawAt = async (seconds) => {
    video.currentTime = seconds;
    draw(seconds * 1000);
    if (seen.times.length > seen.reports.length) await end();
  };
  await drawAt(0);
  video.readyState = 2;
  for (const seconds of [0, 0, 0.1]) await drawAt(seconds);
  assert.deepEqual(seen.times, [0, 100]);
  watching.stop();
  assert.equal(draw, undefined);
});

test("what is no lens, no source or no option is refused", () => {
  const video = new Video();
  const refused = (lens, source, options, message) => assert.throws(() => watch(lens, source, options), { code: "bad-argument", message });
  refused({}, video, {}, "lens is Object, expected what `load` resolves to");
  refused({ analyze() {} }, "video.mp4", {}, 'source is "video.mp4", expected an HTMLVideoElement or a MediaStream');
  refused({ analyze() {} }, video, { onReports() {} }, /^options is "onReports", expected one of onReport, onDrop, onError, clock, signal$/);
  refused({ analyze() {} }, video, { onReport: 1 }, "onReport is 1, expected a function");
});
