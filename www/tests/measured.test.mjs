// What was measured on a machine, in the page's address, in Node.

import assert from "node:assert/strict";
import { test } from "node:test";

import { describeMachine, readMeasured, writeMeasured } from "../src/measured.js";

const TIMES = { loadMs: 812.5, firstMs: 310, steadyMs: 14.2 };

test("what is written is read again", () => {
  for (const devices of [{ cpu: TIMES }, { webgpu: TIMES }, { cpu: TIMES, webgpu: { ...TIMES, steadyMs: 2.1 } }]) {
    const measured = { ...devices, machine: "Chrome 141, X11 Linux x86_64, 8 threads, a & b", version: "0.1.0" };
    assert.deepEqual(readMeasured(writeMeasured(measured)), measured);
  }
});

test("what is not understood is nothing", () => {
  const rest = "machine=m&version=1";
  for (const hash of ["", "#", "#limits", `#${rest}`, "#cpu=1,2,3", `#cpu=1,2&${rest}`, `#cpu=1,2,3,4&${rest}`, `#cpu=1,-2,3&${rest}`]) {
    assert.equal(readMeasured(hash), undefined, hash);
  }
  for (const times of ["1,2,x", "1,2,1e3", "1,2,3600001", "1,2,NaN", "1,,3"]) {
    assert.equal(readMeasured(`#cpu=${times}&${rest}`), undefined, times);
  }
  assert.equal(readMeasured(`#cpu=1,2,3&version=1&machine=${"m".repeat(161)}`), undefined);
});

test("a machine is described by what its browser tells", () => {
  const of = (userAgent, adapter) => describeMachine({ userAgent, hardwareConcurrency: 8 }, adapter);
  const chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
  assert.equal(of(chrome, "nvidia"), "Chrome 141, X11 Linux x86_64, 8 threads, nvidia");
  const safari = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15";
  assert.equal(of(safari), "Safari 18, Macintosh Intel Mac OS X 10_15_7, 8 threads");
  assert.equal(of(""), "8 threads");
  assert.ok(of(`(${"x".repeat(999)})`).length <= 160);
});
