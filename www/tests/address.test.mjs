// Settings in the page's address, and the code that it shows, in Node.

import assert from "node:assert/strict";
import { test } from "node:test";

import { readChange } from "../../pkg-config/affectlens/settings.js";
import { readAddress, writeAddress } from "../src/address.js";
import { makeSnippet } from "../src/snippet.js";

const CONTROLS = {
  gla: "switch",
  halfWindow: { least: 0, most: 50, step: 1 },
  confidence: { least: 0, most: 1, step: 0.01 },
  blend: { least: 0, most: 1, step: 0.05 },
};
const CHOICES = { device: ["auto", "cpu"], mesh: ["1"] };
const read = (query) => readAddress(new URLSearchParams(query), CONTROLS, CHOICES);

test("an address gives settings and choices, and leaves other parameters alone", () => {
  const { settings, choices, bad } = read("gla=0&halfWindow=50&confidence=0.29&blend=0.35&device=cpu&utm=x");
  assert.deepEqual(settings, { gla: false, halfWindow: 50, confidence: 0.29, blend: 0.35 });
  assert.deepEqual(choices, { device: "cpu" });
  assert.deepEqual(bad, []);
});

test("values that are not understood are left out and told", () => {
  const query = ["gla=yes", "halfWindow=51", "halfWindow=1.5", "halfWindow=-1", "confidence=NaN", "confidence=", "blend=1e-1", "blend=0.33", "device=tpu", "mesh=0"];
  for (const part of query) assert.deepEqual(read(part), { settings: {}, choices: {}, bad: [part] });
  const [told] = read(`halfWindow=${"9".repeat(1000)}`).bad;
  assert.equal(told.length, 40);
  for (const name of ["__proto__", "constructor", "toString"]) assert.deepEqual(read(`${name}=1`).bad, []);
});

test("what is written is read again, and defaults leave the address", () => {
  const [settings, choices] = [{ gla: true, confidence: 0.07 }, { device: "cpu", mesh: undefined }];
  const written = writeAddress("https://page.test/?halfWindow=3&mesh=1&utm=x#limits", CONTROLS, settings, choices);
  assert.equal(written, "https://page.test/?utm=x&gla=1&confidence=0.07&device=cpu#limits");
  const again = readAddress(new URL(written).searchParams, CONTROLS, CHOICES);
  assert.deepEqual([again.settings, again.choices, again.bad], [settings, { device: "cpu" }, []]);
});

test("code for the package has the tasks, the device and the settings, and nothing that is a default", () => {
  const plain = makeSnippet({ tasks: ["expression"], device: "auto", isListening: false, settings: {} });
  assert.doesNotMatch(plain, /device|configure|audio/);
  assert.match(plain, /tasks: \["expression"\],/);
  const full = makeSnippet({ tasks: ["pose"], device: "cpu", isListening: true, settings: { gla: false, violenceThreshold: 0.4 } });
  assert.match(full, /^ {2}device: "cpu",\n {2}audio: true,$/m);
  assert.match(full, /^await lens\.configure\(\{ gla: false, violenceThreshold: 0\.4 \}\);$/m);
  assert.doesNotThrow(() => readChange({ gla: false, violenceThreshold: 0.4 }));
});
