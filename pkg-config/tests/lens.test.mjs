// What the page does with a worker that fails, is silent, or crashes again and again. In Node, with fake workers.

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "../affectlens/index.js";
import { FakeFrame, LOADED, failureOf, fakeWorkers, settle, stopClock } from "./fakes.mjs";

const weights = { detector: new Uint8Array(1), backbone: new Uint8Array(1) };
const onGpu = { ...LOADED, device: { ...LOADED.device, kind: "webgpu" } };

/** Plays a worker that loads; `fail` says what becomes of other requests. */
const loading = (meet, loaded = onGpu) => (worker, request, id) => {
  if (request.kind !== "load") return meet(worker, request, id);
  const usesGpu = request.device !== "cpu";
  worker.say({ kind: "progress", progress: { stage: "device" }, usesGpu });
  worker.done(id, structuredClone(usesGpu ? loaded : LOADED));
};
const lose = (worker) => worker.say({ kind: "stopped", code: "device-lost", message: "the GPU device was lost" });

test("only what fails on the GPU is tried again on the CPU", async (context) => {
  for (const [code, usesGpu, goesOn] of [
    ["weights-missing", false, false],
    ["weights-digest", false, false],
    ["crashed", false, false],
    ["module-failed", false, false],
    ["crashed", true, true],
    ["device-failed", true, true],
    ["device-lost", true, true],
    ["weights-malformed", true, false],
  ]) {
    const workers = fakeWorkers(context, (worker, request, id) => {
      if (request.device === "cpu") return worker.done(id, structuredClone(LOADED));
      worker.say({ kind: "progress", progress: { stage: "device" }, usesGpu });
      worker.fail(id, code, "network error", true);
    });
    const seen = await load({ weights }).then(({ device }) => device.fallback, (error) => error.code);
    assert.equal(seen, goesOn ? "WebGPU failed: network error" : code, `${code}, on the GPU: ${usesGpu}`);
    assert.equal(workers.length, goesOn ? 2 : 1);
    assert.ok(workers[0].isTerminated);
  }
});

test("a worker that never says anything ends the load, and says where it was looked for", async (context) => {
  const clock = stopClock(context);
  const workers = fakeWorkers(context, () => {});
  const seen = failureOf(load({ weights, workerUrl: "https://page.test/worker.js" }));
  await settle();
  workers[0].isGone = true;
  await clock.pass(55_000);
  assert.equal(seen.failure, undefined);
  await clock.pass(15_000);
  assert.deepEqual(seen.failure, ["module-failed", "the worker does not start: it gave no sign of life for 60 s"]);
  assert.ok(workers[0].isTerminated);
});

test("a worker that falls silent with the GPU is left for the CPU", async (context) => {
  const clock = stopClock(context);
  const workers = fakeWorkers(context, (worker, request, id) => {
    if (request.device === "cpu") return worker.done(id, structuredClone(LOADED));
    worker.say({ kind: "progress", progress: { stage: "device" }, usesGpu: true });
    worker.isGone = true;
  });
  const loaded = load({ weights });
  await clock.pass(70_000);
  assert.equal((await loaded).device.fallback, "WebGPU failed: the worker is gone: it gave no sign of life for 60 s");
  assert.equal(workers.length, 2);
});

test("a worker that computes for long is waited for while it lives; one that has closed itself is not", async (context) => {
  const clock = stopClock(context);
  const workers = fakeWorkers(context, loading(() => {}));
  const lens = await load({ weights });
  const seen = failureOf(lens.analyze(new FakeFrame()));
  await clock.pass(300_000);
  assert.equal(seen.failure, undefined, "it answers when it is asked for a sign of life");
  workers[0].isGone = true;
  await clock.pass(130_000);
  assert.deepEqual(seen.failure, ["crashed", "the worker is gone: it gave no sign of life for 120 s"]);
  lens.dispose();
});

test("a frame is closed whatever becomes of its call", async (context) => {
  const given = new FakeFrame();
  const closed = async (what, call, code) => {
    const seen = failureOf(call());
    await settle();
    assert.equal(seen.failure?.[0], code, what);
    assert.deepEqual([...FakeFrame.open], [given], `${what}: the caller's own frame stays`);
  };
  let workers = fakeWorkers(context, loading((worker, _, id) => worker.fail(id, "device-failed")));
  let lens = await load({ weights });
  for (let frame = 0; frame < 10; frame++) await closed("the call fails", () => lens.analyze(given), "device-failed");
  workers[0].refuses = new DOMException("no", "DataCloneError");
  await closed("it cannot be handed over", () => lens.analyze(given), "picture-tainted");
  lens.dispose();
  await closed("the lens is disposed", () => lens.analyze(given), "disposed");

  workers = fakeWorkers(context, (worker, request, id) => {
    if (workers.length > 1) return worker.fail(id, "webgpu-unavailable");
    loading(lose)(worker, request, id);
  });
  lens = await load({ weights, device: "webgpu" });
  await closed("the worker ends under it", () => lens.analyze(given), "device-lost");
  for (let frame = 0; frame < 10; frame++) await closed("no other starts", () => lens.analyze(given), "webgpu-unavailable");
  lens.dispose();

  lens = await load({ weights, device: "cpu" }).catch(() => undefined);
  assert.equal(lens, undefined);
  given.close();
});

test("frames that wait for a worker which never comes are closed in the end", async (context) => {
  const clock = stopClock(context);
  const workers = fakeWorkers(context, (worker, request, id) => {
    if (workers.length > 1) worker.isGone = true;
    else loading(lose)(worker, request, id);
  });
  const lens = await load({ weights, device: "webgpu" });
  const given = new FakeFrame();
  await assert.rejects(lens.analyze(given), { code: "device-lost" });
  const seen = Array.from({ length: 10 }, () => failureOf(lens.analyze(given)));
  await clock.pass(70_000);
  assert.deepEqual(seen.map(({ failure }) => failure?.[0]), Array(10).fill("module-failed"));
  assert.deepEqual([...FakeFrame.open], [given]);
  lens.dispose();
});

test("a picture that is too large is refused, and its copy closed", async (context) => {
  fakeWorkers(context, loading((worker, _, id) => worker.done(id, {})));
  const lens = await load({ weights });
  const large = new FakeFrame({ width: 21_000, height: 21_000 });
  const seen = failureOf(lens.analyze(large));
  await settle();
  assert.deepEqual(seen.failure?.[0], "picture-size");
  assert.match(seen.failure[1], /^picture is 21000x21000, expected at most 67108864 pixels and sides of at most 16384: make it smaller first/);
  assert.deepEqual([...FakeFrame.open], [large]);
  large.close();
  lens.dispose();
});

test("after a loss the next call starts anew; after three in a row it waits longer each time", async (context) => {
  const clock = stopClock(context);
  const workers = fakeWorkers(context, loading(lose));
  const lens = await load({ weights, device: "webgpu", warmUp: true });
  const frame = new FakeFrame();
  const codes = new Set();
  // A stream of 25 frames a second for a minute.
  for (let ms = 0; ms < 60_000; ms += 100) {
    const seen = [failureOf(lens.analyze(frame)), failureOf(lens.analyze(frame))];
    await clock.pass(100);
    for (const { failure } of seen) codes.add(failure[0]);
    if (ms === 200) assert.equal(workers.length, 3, "the first two losses are met at once");
  }
  // 0.3 s with three, then after 1, 2, 4, 8 and 16 seconds one each.
  assert.equal(workers.length, 8);
  assert.deepEqual([...codes], ["device-lost"]);
  const { failure } = await clock.pass(100).then(async () => {
    const seen = failureOf(lens.analyze(frame));
    await settle();
    return seen;
  });
  assert.match(failure[1], /^the GPU device was lost; the model failed 8 times in a row and is started again in \d+ s at the earliest$/);
  assert.equal(FakeFrame.open.size, 1);
  frame.close();
  lens.dispose();
});

test("what has worked for half a minute is started anew at once", async (context) => {
  const clock = stopClock(context);
  let isLost = false;
  const workers = fakeWorkers(context, loading((worker, _, id) => (isLost ? lose(worker) : worker.done(id, {}))));
  const lens = await load({ weights, device: "webgpu" });
  const frame = new FakeFrame();
  for (let loss = 1; loss <= 10; loss++) {
    await clock.pass(31_000);
    isLost = true;
    const seen = failureOf(lens.analyze(frame));
    await settle();
    assert.equal(seen.failure[0], "device-lost");
    isLost = false;
    await lens.analyze(frame);
    assert.equal(workers.length, loss + 1);
  }
  frame.close();
  lens.dispose();
});

test("a GPU that is lost again and again is left for the CPU, if that is allowed", async (context) => {
  const clock = stopClock(context);
  const workers = fakeWorkers(context, (worker, request, id) => {
    if (request.kind === "load") worker.isOnCpu = request.device === "cpu";
    loading((worker, _, id) => (worker.isOnCpu ? worker.done(id, {}) : lose(worker)))(worker, request, id);
  });
  const lens = await load({ weights });
  const frame = new FakeFrame();
  for (let loss = 0; loss < 3; loss++) {
    await assert.rejects(lens.analyze(frame), { code: "device-lost" });
  }
  await clock.pass(1_000);
  await lens.analyze(frame);
  assert.equal(workers.length, 4);
  assert.equal(lens.device.fallback, "WebGPU failed 3 times in a row: the GPU device was lost");
  frame.close();
  lens.dispose();
});

test("sound waits while the model rests, and goes on with it", async (context) => {
  const clock = stopClock(context);
  let isLost = true;
  fakeWorkers(context, loading((worker, _, id) => (isLost ? lose(worker) : worker.done(id)), { ...onGpu, sound: { speech: true } }));
  const made = (length) => ({ [Symbol.toStringTag]: "AudioBuffer", sampleRate: 16_000, length, numberOfChannels: 1, getChannelData: () => new Float32Array(length) });
  globalThis.AudioContext = globalThis.OfflineAudioContext = class {};
  context.after(() => ["AudioContext", "OfflineAudioContext"].forEach((name) => delete globalThis[name]));
  const lens = await load({ weights, audio: true, device: "webgpu" });
  const listening = await lens.listen(made(160_000));
  let end;
  listening.ended.then((how) => (end = how), (error) => (end = error.code));
  const frame = new FakeFrame();
  // Five pieces of a second are on their way at once, and fail with one loss.
  await assert.rejects(lens.analyze(frame, { timeMs: 5_000 }), { code: "device-lost" });
  await settle();
  assert.equal(end, undefined);
  isLost = false;
  await lens.analyze(frame, { timeMs: 5_100 });
  assert.equal(end, undefined);
  await clock.pass(100);
  frame.close();
  lens.dispose();
  await settle();
  assert.equal(end, "stopped");
});

test("what cannot be handed to the worker is the caller's argument, not a picture", async (context) => {
  const workers = fakeWorkers(context, () => {});
  const moved = new ArrayBuffer(8);
  structuredClone(moved, { transfer: [moved] });
  await assert.rejects(load({ weights: { detector: moved } }), { code: "bad-argument", message: /^weights\.detector is ArrayBuffer, expected bytes that are still there/ });
  const { prototype } = globalThis.Worker;
  const { postMessage } = prototype;
  prototype.postMessage = () => {
    throw new DOMException("An ArrayBuffer is detached", "DataCloneError");
  };
  const refused = { name: "AffectLensError", code: "bad-argument", message: "the weights cannot be handed to the worker: An ArrayBuffer is detached" };
  await assert.rejects(load({ weights }), refused);
  prototype.postMessage = postMessage;
  assert.equal(workers.length, 1);
});

test("a worker that the browser refuses to make is no raw error", async (context) => {
  fakeWorkers(context, () => {});
  globalThis.Worker = class {
    constructor(url) {
      throw new DOMException(`Script at '${url}' cannot be accessed from origin`, "SecurityError");
    }
  };
  for (const workerUrl of ["file:///worker.js", "https://elsewhere.test/worker.js", "/worker.js"]) {
    await assert.rejects(load({ weights, workerUrl }), { name: "AffectLensError", code: "module-failed", message: /cannot be accessed from origin/ });
  }
});

test("a personal head goes with the lens to another worker, until it is forgotten", async (context) => {
  const clock = stopClock(context);
  const [learnt, given] = [Uint8Array.of(1, 2), Uint8Array.of(3)];
  const heads = [];
  let loses = false;
  fakeWorkers(context, (worker, request, id) => {
    if (request.kind === "load") heads.push(request.personal);
    if (request.kind === "personalise") return worker.done(id, { head: learnt, faces: {}, before: null, after: null });
    loading((worker, _, id) => (loses ? lose(worker) : worker.done(id, undefined)))(worker, request, id);
  });
  const lens = await load({ weights, device: "webgpu" });
  const restart = async () => {
    // Long enough for a worker to count as one that works.
    await clock.pass(31_000);
    loses = true;
    await assert.rejects(lens.analyze(new FakeFrame()), { code: "device-lost" });
    loses = false;
    await lens.analyze(new FakeFrame());
    return heads.at(-1);
  };
  assert.equal(await restart(), undefined);
  const { head } = await lens.personalise();
  head.fill(9);
  assert.deepEqual(await restart(), Uint8Array.of(1, 2), "what a caller does to its copy changes nothing");
  await lens.personalise(given);
  assert.deepEqual(await restart(), given);
  await lens.personalise(null);
  assert.equal(await restart(), undefined);
  lens.dispose();
});

test("what is neither a label nor a head is refused before the worker is asked", async (context) => {
  fakeWorkers(context, loading((worker, _, id) => worker.done(id, {})));
  const lens = await load({ weights, device: "cpu" });
  await assert.rejects(lens.learn(3), { code: "bad-argument", message: "label is 3, expected the name of an expression" });
  await assert.rejects(lens.personalise([1]), { code: "bad-argument", message: /^head is .*, expected a Uint8Array, or null$/ });
  lens.dispose();
});
