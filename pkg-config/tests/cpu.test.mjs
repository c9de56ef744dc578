// How the small module for the CPU is started, in Node.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { inspect } from "node:util";

import { CpuWorkers } from "../affectlens/cpu.js";
import { ThreadChoice } from "../affectlens/thread-choice.js";
import { setGlobals, stopClock } from "./fakes.mjs";

for (const hardwareConcurrency of [0, undefined, -1, 2.5, NaN, "4"]) {
  test(`a browser that says it has ${inspect(hardwareConcurrency)} cores has one thread`, async (context) => {
    setGlobals(context, {
      navigator: { hardwareConcurrency },
      crossOriginIsolated: true,
      fetch: async () => new Response(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])),
    });
    const exports = { turn: () => 0, __heap_base: { value: 1024 } };
    const instantiate = mock.method(WebAssembly, "instantiate", async () => ({ exports }));
    context.after(() => instantiate.mock.restore());
    const cpu = new CpuWorkers(undefined);
    assert.equal(await cpu.start(), true);
    assert.equal(cpu.threads, 1);
  });
}

test("a module that never comes is done without", async (context) => {
  const clock = stopClock(context);
  setGlobals(context, { navigator: { hardwareConcurrency: 4 }, fetch: () => new Promise(() => {}) });
  const cpu = new CpuWorkers(1);
  let isReady;
  void cpu.start().then((ready) => (isReady = ready));
  await clock.pass(50_000);
  assert.equal(isReady, false);
  assert.match(cpu.report.fallback, /affectlens_cpu_simd\.wasm` has not come in 20 s$/);
});

/** The threads of so many runs, each of which takes what `ms` says of its threads. */
function threadsOf(choice, runs, ms) {
  return Array.from({ length: runs }, () => {
    const { threads } = choice;
    choice.took(ms(threads));
    return threads;
  });
}

test("a network runs with as many threads as are faster, and both numbers are compared again", () => {
  const trials = Array.from({ length: 8 }, () => [4, 1]).flat();
  const choice = new ThreadChoice(4);
  // The first run is slow whatever it runs with.
  assert.deepEqual(threadsOf(choice, 1, () => 500), [4]);
  // A thread comes late in every other run of several.
  let several = 0;
  const busy = (threads) => (threads === 1 ? 6 : several++ % 2 === 0 ? 16 : 4);
  assert.deepEqual(threadsOf(choice, 16, busy), trials);
  assert.deepEqual(new Set(threadsOf(choice, 200, busy)), new Set([1]));
  // Meanwhile the machine is idle, and the page pauses once.
  let run = 0;
  const idle = (threads) => (run++ === 2 ? 90 : 8 / threads);
  assert.deepEqual(threadsOf(choice, 16, idle), trials);
  assert.deepEqual(new Set(threadsOf(choice, 200, idle)), new Set([4]));
});

test("a large network is tried four times, and a very large one has all threads", () => {
  const of = (ms) => threadsOf(new ThreadChoice(2), 9, (threads) => ms / threads);
  assert.deepEqual(of(400), [2, 2, 1, 2, 1, 2, 2, 2, 2]);
  assert.deepEqual(of(2000), Array(9).fill(2));
});

test("one thread is no choice", () => {
  assert.deepEqual(new Set(threadsOf(new ThreadChoice(1), 200, () => 1)), new Set([1]));
});
