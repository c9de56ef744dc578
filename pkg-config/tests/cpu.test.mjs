// How the small module for the CPU is started, in Node.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { inspect } from "node:util";

import { CpuWorkers } from "../affectlens/cpu.js";
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
