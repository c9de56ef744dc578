// Sound before it reaches the model, in Node: the worklet, its resampler, times, and what waits.

import assert from "node:assert/strict";
import { before, describe, test } from "node:test";

import { BLOCK, RATE, Resampler, limit, mixToMono } from "../affectlens/resampler.js";
import { readListenOptions } from "../affectlens/listen.js";
import { BlockTimes, PictureClock } from "../affectlens/sound-clock.js";
import { SoundFile } from "../affectlens/sound-file.js";
import { SoundQueue } from "../affectlens/sound-queue.js";

/** Samples at the ends of a tone in which the filter sees silence. */
const EDGE = 100;
const tone = (hertz, rate, seconds = 1) =>
  Float32Array.from({ length: Math.round(rate * seconds) }, (_, index) => 0.5 * Math.sin((2 * Math.PI * hertz * index) / rate));
const power = (samples) => samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
const decibels = (samples, of) => 10 * Math.log10(power(samples) / power(of));
const joined = (pieces) => Float32Array.from(pieces.flatMap((piece) => [...piece]));
/** What a stream of pieces of `size` samples becomes. */
const resampled = (samples, rate, size = 128) => {
  const resampler = new Resampler(rate);
  const pieces = [];
  for (let start = 0; start < samples.length; start += size) pieces.push(resampler.push(samples.subarray(start, start + size)));
  return joined([...pieces, resampler.finish()]);
};

describe("the resampler", () => {
  for (const rate of [8000, 11_025, 22_050, 44_100, 48_000, 96_000]) {
    test(`gives the tone of ${rate} samples a second at 16,000, each sample at its time`, () => {
      const hertz = 440;
      const got = resampled(tone(hertz, rate), rate);
      assert.ok(Math.abs(got.length - RATE) <= 2, `${got.length}`);
      const expected = tone(hertz, RATE);
      const errors = got.slice(EDGE, RATE - EDGE).map((sample, index) => sample - expected[index + EDGE]);
      assert.ok(decibels(errors, expected) < -60, `the error is ${decibels(errors, expected)} dB`);
    });
  }

  test("keeps what 16 kHz can hold, and nothing beyond", () => {
    const level = (hertz) => decibels(resampled(tone(hertz, 48_000), 48_000).slice(EDGE, RATE - EDGE), tone(hertz, 48_000));
    for (const hertz of [100, 1000, 3000, 6000]) assert.ok(Math.abs(level(hertz)) < 0.1, `${hertz} Hz: ${level(hertz)} dB`);
    for (const hertz of [8500, 12_000, 15_560, 20_000]) assert.ok(level(hertz) < -65, `${hertz} Hz: ${level(hertz)} dB`);
  });

  test("gives the same in pieces of any size, and what does not change stays", () => {
    const samples = tone(300, 44_100, 0.2);
    const whole = resampled(samples, 44_100, samples.length);
    for (const size of [1, 7, 128, 1000]) assert.deepEqual(resampled(samples, 44_100, size), whole);
    const level = resampled(new Float32Array(4410).fill(0.25), 44_100).slice(EDGE, -EDGE);
    for (const sample of level) assert.ok(Math.abs(sample - 0.25) < 1e-5, `${sample}`);
  });
});

test("channels are averaged, and what is no number is silence", () => {
  assert.deepEqual(mixToMono([Float32Array.of(0.5, 1, NaN), Float32Array.of(-0.5, 0.5, 1)]), Float32Array.of(0, 0.75, 0));
  assert.deepEqual(mixToMono([]), new Float32Array(0));
  assert.deepEqual(limit(Float32Array.of(-3, 0.5, 1.5)), Float32Array.of(-1, 0.5, 1));
});

describe("the worklet", () => {
  const posted = [];
  let Capture;

  before(async () => {
    const port = { postMessage: ({ samples, filledMs }, transfer) => posted.push({ block: samples, filledMs, transfer }), onmessage: null };
    globalThis.AudioWorkletProcessor = class {
      port = port;
    };
    globalThis.registerProcessor = (name, processor) => {
      assert.equal(name, "affectlens-listen");
      Capture = processor;
    };
    globalThis.sampleRate = 48_000;
    // Another address is another module: this one registers its processor.
    await import("../affectlens/listen-worklet.js?worklet");
    for (const name of ["AudioWorkletProcessor", "registerProcessor"]) delete globalThis[name];
  });

  test("posts blocks of one channel at 16 kHz, also where nothing comes, until it is told to end", () => {
    const capture = new Capture();
    const [left, right] = [tone(440, 48_000), tone(440, 48_000).map((sample) => -0.5 * sample)];
    let last;
    for (let start = 0; start + 128 <= left.length; start += 128) {
      const part = (channel) => channel.subarray(start, start + 128);
      last = capture.process([[part(left), part(right)]], [[new Float32Array(128)]]);
    }
    assert.equal(last, true);
    assert.equal(posted.length, Math.floor((RATE - 30) / BLOCK));
    for (const { block, filledMs, transfer } of posted) {
      assert.deepEqual([block.length, transfer], [BLOCK, [block.buffer]]);
      assert.ok(Math.abs(filledMs - Date.now()) < 10_000);
    }
    const got = joined(posted.map(({ block }) => block));
    assert.ok(Math.abs(decibels(got.slice(EDGE), tone(440, RATE)) - 20 * Math.log10(0.25)) < 0.1);
    posted.length = 0;
    for (let call = 0; call < 375; call++) capture.process([[]], [[new Float32Array(128)]]);
    assert.ok(posted.length >= 31 && posted.at(-1).block.every((sample) => sample === 0));
    capture.port.onmessage();
    assert.equal(capture.process([[]], [[]]), false);
  });
});

describe("a file", () => {
  const buffer = (rate, ...channels) => ({
    length: channels[0].length,
    sampleRate: rate,
    numberOfChannels: channels.length,
    getChannelData: (channel) => channels[channel],
  });

  /** What is heard before each picture: its first time, and all samples. */
  const heardBefore = (file, times) =>
    times.map((timeMs) => {
      const pieces = [...file.until(timeMs)];
      for (const { samples } of pieces) assert.ok(samples.length <= RATE);
      return { timeMs: pieces[0]?.timeMs, samples: joined(pieces.map(({ samples }) => samples)) };
    });

  test("is heard a tenth of a second further than its pictures, each sample once", () => {
    const sound = tone(440, RATE, 2.5);
    const file = new SoundFile(buffer(RATE, sound));
    const heard = heardBefore(file, [0, 0, 40, 2000]);
    assert.deepEqual(heard.map(({ timeMs, samples }) => [timeMs, samples.length]), [[0, 1600], [undefined, 0], [100, 640], [140, 31_360]]);
    assert.equal(file.isOver, false);
    const [last] = heardBefore(file, [5000]);
    assert.equal(file.isOver, true);
    assert.deepEqual(joined([...heard, last].map(({ samples }) => samples)), sound);
    assert.deepEqual(heardBefore(file, [6000])[0].samples.length, 0);
  });

  test("of another rate keeps its length and its tone, channels averaged", () => {
    const sound = tone(440, 44_100, 2.5);
    const file = new SoundFile(buffer(44_100, sound, sound));
    const times = Array.from({ length: 80 }, (_, frame) => 40 * frame);
    const got = joined(heardBefore(file, times).map(({ samples }) => samples));
    assert.ok(Math.abs(got.length - 2.5 * RATE) <= 2, `${got.length}`);
    const expected = tone(440, RATE, 2.5);
    const errors = got.slice(EDGE, -EDGE).map((sample, index) => sample - expected[index + EDGE]);
    assert.ok(decibels(errors, expected) < -60, `the error is ${decibels(errors, expected)} dB`);
  });

  test("begins anew before a picture that lies back or far ahead, and when it was forgotten", () => {
    const sound = tone(440, RATE, 60);
    const file = new SoundFile(buffer(RATE, sound));
    const spans = (times) => heardBefore(file, times).map(({ timeMs, samples }) => [timeMs, samples.length]);
    assert.deepEqual(spans([0, 9000, 30_000]), [[0, 1600], [100, 9000 * 16], [25_000, 5100 * 16]]);
    assert.deepEqual(spans([2000, 29_000]), [[0, 2100 * 16], [24_000, 5100 * 16]]);
    file.restart();
    assert.deepEqual(spans([29_000]), [[24_000, 5100 * 16]]);
  });
});

describe("times", () => {
  const BLOCK_MS = (1000 * BLOCK) / RATE;

  test("the clock is that of the pictures, and of the page's before there are any", () => {
    const clock = new PictureClock();
    assert.equal(clock.at(500), 500);
    clock.meet(40, 1000);
    assert.equal(clock.at(1100), 140);
    // A picture that was looked at late tells little, an early one all.
    clock.meet(80, 1140);
    assert.ok(Math.abs(clock.at(1140) - 178) < 0.1, `${clock.at(1140)}`);
    clock.meet(200, 1150);
    assert.equal(clock.at(1150), 200);
  });

  test("another clock is followed at once", () => {
    const clock = new PictureClock();
    clock.meet(60_000, 1000);
    clock.meet(0, 2000);
    assert.equal(clock.at(2040), 40);
  });

  test("blocks follow each other without a gap, however unevenly they come", () => {
    const times = new BlockTimes();
    const first = times.place(BLOCK, 1000);
    assert.equal(first, 1000 - BLOCK_MS);
    for (let block = 1; block < 200; block++) {
      // Every so often a fifth of a second comes at once.
      const busyMs = block % 40 < 6 ? (6 - (block % 40)) * BLOCK_MS : 0;
      const time = times.place(BLOCK, 1000 + block * BLOCK_MS + busyMs);
      assert.ok(Math.abs(time - (first + block * BLOCK_MS)) < 1e-6, `block ${block} at ${time}`);
    }
  });

  test("sound that lags for a quarter of a second, or comes before it can have been heard, begins anew", () => {
    const late = new BlockTimes();
    late.place(BLOCK, 1000);
    let time = 0;
    for (let block = 1; block < 40; block++) time = late.place(BLOCK, 1300 + block * BLOCK_MS);
    assert.ok(Math.abs(time - (1300 + 38 * BLOCK_MS)) < 1e-6, `${time}`);
    // A machine that leaves out a fifth of the sound.
    const [lossy, lags] = [new BlockTimes(), []];
    for (let block = 0; block < 200; block++) lags.push(block * BLOCK_MS * 1.25 - lossy.place(BLOCK, block * BLOCK_MS * 1.25) - BLOCK_MS);
    assert.ok(Math.max(...lags) < 200, `${Math.max(...lags)}`);
    const early = new BlockTimes();
    early.place(BLOCK, 1000);
    assert.equal(early.place(BLOCK, 200), 200 - BLOCK_MS);
    assert.equal(early.place(BLOCK, 60_000), 60_000 - BLOCK_MS, "the clock was set");
  });

  test("a new start takes the clock's time", () => {
    const times = new BlockTimes();
    times.place(BLOCK, 1000);
    times.restart();
    assert.equal(times.place(BLOCK, 1090), 1090 - BLOCK_MS);
  });
});

describe("what waits", () => {
  const block = (timeMs, value = 0) => ({ samples: new Float32Array(BLOCK).fill(value), timeMs });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const follow = () => {
    const heard = [];
    const failures = [];
    let finish;
    const queue = new SoundQueue(
      (samples, timeMs) => {
        heard.push({ samples, timeMs });
        return new Promise((resolve, reject) => (finish = { resolve, reject }));
      },
      (error) => failures.push(error),
    );
    const end = async (error) => {
      if (error) finish.reject(error);
      else finish.resolve();
      await settle();
    };
    return { queue, heard, failures, end };
  };

  test("one piece is in flight, and those that follow each other become one", async () => {
    const { queue, heard, end } = follow();
    for (const timeMs of [0, 32, 64]) queue.push(block(timeMs, timeMs / 100));
    assert.deepEqual(heard.map(({ samples, timeMs }) => [samples.length, timeMs]), [[BLOCK, 0]]);
    queue.push(block(500));
    await end();
    assert.deepEqual(heard.slice(1).map(({ samples, timeMs }) => [samples.length, timeMs]), [[2 * BLOCK, 32]]);
    assert.ok(Math.abs(heard[1].samples[0] - 0.32) < 1e-6 && Math.abs(heard[1].samples.at(-1) - 0.64) < 1e-6);
    await end();
    assert.equal(heard[2].timeMs, 500);
    await end();
    assert.equal(heard.length, 3);
    queue.push(block(532));
    assert.equal(heard[3].timeMs, 532);
    assert.equal(queue.droppedMs, 0);
  });

  test("two seconds wait at most; the oldest is dropped and counted", async () => {
    const { queue, heard, end } = follow();
    for (let index = 0; index < 101; index++) queue.push(block(32 * index));
    // One is in flight; of the other hundred 62 are less than two seconds.
    assert.equal(queue.droppedMs, 38 * 32);
    await end();
    assert.equal(heard[1].timeMs, 39 * 32);
    assert.equal(heard[1].samples.length, 62 * BLOCK);
  });

  test("before a picture all that waits is handed on", async () => {
    const { queue, heard, end } = follow();
    for (const timeMs of [0, 32, 64, 500]) queue.push(block(timeMs));
    queue.flush();
    assert.deepEqual(heard.map(({ samples, timeMs }) => [samples.length, timeMs]), [[BLOCK, 0], [2 * BLOCK, 32], [BLOCK, 500]]);
    queue.flush();
    queue.push(block(532));
    assert.equal(heard.length, 3, "one of them is still in flight");
    await end();
  });

  test("a failure is told and the next piece goes on; what is closed tells and takes nothing", async () => {
    const { queue, heard, failures, end } = follow();
    queue.push(block(0));
    queue.push(block(32));
    await end(new Error("lost"));
    assert.deepEqual(failures.map(({ message }) => message), ["lost"]);
    assert.equal(heard.length, 2);
    queue.push(block(64));
    queue.close();
    queue.push(block(96));
    await end(new Error("gone"));
    assert.deepEqual([heard.length, failures.length], [2, 1]);
  });
});

test("options of listening are checked", () => {
  assert.deepEqual(readListenOptions(), { own: false, clock: undefined, onLevel: undefined, signal: undefined });
  const clock = () => 7;
  assert.equal(readListenOptions({ clock, own: true }).clock, clock);
  for (const [options, message] of [
    [{ own: 1 }, "own is 1, expected a boolean"],
    [{ clock: 40 }, "clock is 40, expected a function"],
    [{ onLevel: "loud" }, 'onLevel is "loud", expected a function'],
    [{ signal: {} }, "signal is Object, expected an AbortSignal"],
    [null, "options is null, expected an object like { own: true }"],
  ]) {
    assert.throws(() => readListenOptions(options), { code: "bad-argument", message });
  }
});
