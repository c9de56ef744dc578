// The worker's own part in Node, with a double in place of the wasm module: what it waits for, and what it says of failures.

import assert from "node:assert/strict";
import { test } from "node:test";

import { FakeFrame, settle, startWorkerScript, stopClock } from "./fakes.mjs";

const never = () => new Promise(() => {});
/** A browser's GPU, as scripts see it. */
const gpuOf = (gpu) => ({ navigator: { hardwareConcurrency: 1, gpu } });
const adapter = (fields) => ({ info: { vendor: "double" }, requestDevice: never, ...fields });
const codeOf = ({ code, message }) => [code, message];

test("where there is no adapter, nothing is fetched for it", async (context) => {
  const fetched = [];
  const fetch = async (url) => {
    fetched.push(String(url));
    return new Response(new Uint8Array(4));
  };
  const worker = await startWorkerScript(context, { ...gpuOf({ requestAdapter: async () => null }), fetch });
  const weights = { kind: "manifest", url: "https://page.test/weights/manifest.json" };
  const reply = worker.load({ device: "webgpu", weights });
  await settle();
  assert.deepEqual(codeOf(reply()), ["webgpu-unavailable", "the browser offers no WebGPU adapter"]);
  assert.deepEqual(fetched, []);
});

test("an adapter that never comes is given up", async (context) => {
  const clock = stopClock(context);
  for (const [device, kind, said] of [
    ["auto", "done", "the browser offers no WebGPU adapter: `requestAdapter` gave no answer in 10 s"],
    ["webgpu", "failed", "the browser offers no WebGPU adapter: `requestAdapter` gave no answer in 10 s"],
  ]) {
    const worker = await startWorkerScript(context, gpuOf({ requestAdapter: never }));
    const reply = worker.load({ device });
    await clock.pass(9_000);
    assert.equal(reply(), undefined);
    await clock.pass(2_000);
    assert.equal(reply().kind, kind);
    assert.equal(reply().value?.device.fallback ?? reply().message, said);
  }
});

test("an adapter that fails is no adapter", async (context) => {
  const requestAdapter = async () => {
    throw new DOMException("no", "OperationError");
  };
  const worker = await startWorkerScript(context, gpuOf({ requestAdapter }));
  const reply = worker.load({ device: "auto" });
  await settle();
  assert.equal(reply().value.device.fallback, "the browser offers no WebGPU adapter: no");
});

test("a device that never comes is given up where the module asks for it", async (context) => {
  const clock = stopClock(context);
  const gpu = { requestAdapter: async () => adapter() };
  await startWorkerScript(context, gpuOf(gpu));
  let failed;
  (await gpu.requestAdapter()).requestDevice().catch(({ message }) => (failed = message));
  await clock.pass(11_000);
  assert.equal(failed, "`requestDevice` gave no answer in 10 s");
});

test("a GPU that was lost is given a moment to come back", async (context) => {
  const clock = stopClock(context);
  let asked = 0;
  const gpu = { requestAdapter: async () => (++asked > 5 ? adapter() : null) };
  const worker = await startWorkerScript(context, gpuOf(gpu));
  const reply = worker.load({ device: "webgpu", isRestart: true });
  for (let step = 0; step < 6; step++) await clock.pass(100);
  // The double refuses every GPU, which is past the question whether there is one.
  assert.deepEqual(codeOf(reply()), ["crashed", "the adapter refused"]);
  assert.ok(worker.replies.some(({ kind, usesGpu }) => kind === "progress" && usesGpu));
});

test("a device that goes away is told at once, unless nobody computes on it", async (context) => {
  for (const [device, reason, said] of [
    ["auto", "unknown", ["stopped"]],
    ["auto", "destroyed", []],
    ["cpu", "unknown", []],
  ]) {
    let lose;
    const lost = new Promise((resolve) => (lose = () => resolve({ reason, message: "it is gone" })));
    const gpu = { requestAdapter: async () => adapter({ requestDevice: async () => ({ lost }) }) };
    const worker = await startWorkerScript(context, gpuOf(gpu));
    worker.load({ device });
    await settle();
    await (await gpu.requestAdapter()).requestDevice();
    worker.replies.length = 0;
    lose();
    await settle();
    assert.deepEqual(worker.replies.map(({ kind }) => kind), said);
    if (said.length > 0) assert.deepEqual(codeOf(worker.replies[0]), ["device-lost", "the GPU device was lost: it is gone"]);
  }
});

test("a picture is closed also where there is no model to look at it, or it cannot be drawn", async (context) => {
  const refuse = () => {
    throw new DOMException("out of memory", "InvalidStateError");
  };
  const canvas = { getContext: () => ({ canvas: {}, drawImage() {}, getImageData: refuse }) };
  const OffscreenCanvas = class {
    getContext = canvas.getContext;
  };
  const worker = await startWorkerScript(context, { OffscreenCanvas });
  const analyze = () => worker.ask({ kind: "analyze", timeMs: 0, picture: { kind: "image", image: new FakeFrame() } });
  const early = analyze();
  await settle();
  const loaded = worker.load();
  await settle();
  assert.equal(loaded().kind, "done");
  const late = analyze();
  await settle();
  assert.equal(FakeFrame.open.size, 0);
  for (const reply of [early(), late()]) {
    assert.equal(reply.fatal, false);
    assert.deepEqual(codeOf(reply), ["picture-size", "picture of 4x4 pixels cannot be drawn: out of memory"]);
  }
  const pixels = { kind: "rgba", width: 1, height: 1, rgba: new Uint8Array([0, 0, 0, 255]) };
  const next = worker.ask({ kind: "analyze", timeMs: 0, picture: pixels });
  await settle();
  assert.equal(next().kind, "done", "the model goes on");
});

test("a sign of life is given while a picture is looked at, and one that never ends is given up", async (context) => {
  const clock = stopClock(context);
  const worker = await startWorkerScript(context);
  worker.load();
  await settle();
  const pixels = { kind: "rgba", width: 1, height: 1, rgba: new Uint8Array([3, 0, 0, 255]) };
  const reply = worker.ask({ kind: "analyze", timeMs: 0, picture: pixels });
  await settle();
  worker.send("knock");
  assert.deepEqual(worker.replies.at(-1), { kind: "here" });
  await clock.pass(119_000);
  assert.equal(reply(), undefined);
  await clock.pass(2_000);
  assert.deepEqual(codeOf(reply()), ["crashed", "`analyze` was not done within 120 s"]);
  assert.equal(reply().fatal, true);
});

test("a module that never comes is given up", async (context) => {
  const clock = stopClock(context);
  const worker = await startWorkerScript(context, { fetch: never });
  const reply = worker.load();
  await clock.pass(31_000);
  assert.deepEqual(codeOf(reply()), ["module-failed", "the wasm module does not start: its address gives no answer"]);
});

test("progress counts the module with the weights, and its total is known from the start", async (context) => {
  const piece = new Uint8Array(500);
  const fetch = async () =>
    new Response(new ReadableStream({ start: (out) => ([out.enqueue(piece), out.enqueue(piece)], out.close()) }), { headers: { "content-length": "1000" } });
  const worker = await startWorkerScript(context, { fetch });
  const reply = worker.load({});
  await settle();
  assert.equal(reply().kind, "done");
  const told = worker.replies.flatMap(({ progress }) => (progress?.stage === "weights" && progress.totalBytes > 0 ? [progress] : []));
  assert.deepEqual(told.at(-1), { stage: "weights", loadedBytes: 1000, totalBytes: 1000, cached: false });
  const bytes = told.map(({ loadedBytes }) => loadedBytes);
  assert.deepEqual(bytes, [...bytes].sort((a, b) => a - b));
});

test("a compressed module does not tell its size, and is never more than all of it", async (context) => {
  const headers = { "content-length": "10", "content-encoding": "br" };
  const worker = await startWorkerScript(context, { fetch: async () => new Response(new Uint8Array(1000), { headers }) });
  const reply = worker.load({});
  await settle();
  assert.equal(reply().kind, "done");
  for (const { progress } of worker.replies) if (progress?.totalBytes > 0) assert.ok(progress.loadedBytes <= progress.totalBytes);
});
