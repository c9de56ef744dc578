// Which frames of a video are analysed, in Node.

import assert from "node:assert/strict";
import { test } from "node:test";

import { FrameWatch } from "../src/watch.js";

/** A video that shows frames when it is told to. */
class Video {
  paused = false;
  ended = false;
  srcObject = null;
  currentTime = 0;
  #callback;
  #presented = 0;

  requestVideoFrameCallback(callback) {
    this.#callback = callback;
    return 1;
  }

  cancelVideoFrameCallback() {
    this.#callback = undefined;
  }

  show(seconds) {
    this.currentTime = seconds;
    this.#presented += 1;
    this.#callback?.(1000 * seconds, { mediaTime: seconds, presentedFrames: this.#presented });
  }
}

/** A video, the times that were analysed, and the end of the analysis that is in flight. */
function follow() {
  const video = new Video();
  const times = [];
  const seen = { dropped: 0 };
  let finish;
  const watch = new FrameWatch(video, {
    onFrame: (timeMs) => {
      times.push(timeMs);
      return new Promise((resolve) => (finish = resolve));
    },
    onDrop: (count) => (seen.dropped += count),
  });
  const end = async () => {
    finish();
    await new Promise((resolve) => setImmediate(resolve));
  };
  watch.start();
  return { video, watch, times, seen, end };
}

test("while a video plays, frames that come meanwhile are dropped, and the next one is analysed", async () => {
  const { video, times, seen, end } = follow();
  for (const seconds of [0, 1, 2]) video.show(seconds);
  await end();
  assert.deepEqual(times, [0]);
  video.show(3);
  assert.deepEqual(times, [0, 3000]);
  assert.equal(seen.dropped, 2);
});

test("the newest frame of a video that stands still is analysed, although it came meanwhile", async () => {
  const { video, times, seen, end } = follow();
  video.paused = true;
  for (const seconds of [0, 1, 2]) video.show(seconds);
  await end();
  assert.deepEqual(times, [0, 2000]);
  await end();
  assert.deepEqual(times, [0, 2000], "once");
  assert.equal(seen.dropped, 1);
});

test("a video that stands still is looked at again on demand, one that plays or is not followed is not", async () => {
  const { video, watch, times, end } = follow();
  video.show(0);
  await end();
  watch.lookAgain();
  assert.deepEqual(times, [0]);
  video.paused = true;
  watch.lookAgain();
  assert.deepEqual(times, [0, 0]);
  watch.lookAgain();
  await end();
  watch.stop();
  await end();
  watch.lookAgain();
  assert.deepEqual(times, [0, 0, 0]);
});
