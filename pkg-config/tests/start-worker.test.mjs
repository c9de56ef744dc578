// Where the worker's script is looked for, after what bundlers do to its address. In Node, with fake workers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { carry, unpack } from "../affectlens/engine.js";
import { load } from "../affectlens/index.js";
import { isPage, leftBehind, whereItLies } from "../affectlens/moved.js";
import { explainStart, startAt, startFound } from "../affectlens/start-worker.js";
import { LOADED, fakeWorkers, setGlobals } from "./fakes.mjs";

const PAGE = { self: { origin: "https://page.test" }, location: { href: "https://page.test/app/" } };

/** Workers that only note what they are made of. */
function noteWorkers(context) {
  const made = [];
  class Worker extends EventTarget {
    constructor(address, options) {
      super();
      made.push({ address, options });
    }
  }
  setGlobals(context, { Worker, ...PAGE });
  const createObjectURL = URL.createObjectURL;
  context.after(() => (URL.createObjectURL = createObjectURL));
  const texts = [];
  URL.createObjectURL = (blob) => `blob:${texts.push(blob.text()) - 1}`;
  return { made, texts, Worker };
}

const at = (address, options = { type: "module" }) => () => new Worker(new URL(address), options);

test("a worker is started where the bundler has put it", (context) => {
  const { made, Worker } = noteWorkers(context);
  const { address, worker } = startFound(at("https://page.test/assets/worker-1a2b.js"));
  assert.equal(address, "https://page.test/assets/worker-1a2b.js");
  assert.deepEqual(made, [{ address, options: { type: "module" } }]);
  assert.ok(worker instanceof Worker);
  assert.equal(globalThis.Worker, Worker);
});

test("a script of another origin is loaded by one of the page's own, in the manner of its kind", async (context) => {
  const { made, texts } = noteWorkers(context);
  const { address } = startFound(at("https://cdn.test/worker.js"));
  assert.equal(address, "https://cdn.test/worker.js");
  // webpack makes scripts of modules.
  startFound(at("https://cdn.test/957.js", { type: undefined }));
  assert.deepEqual(await Promise.all(texts), ['import "https://cdn.test/worker.js";', 'importScripts("https://cdn.test/957.js");']);
  assert.deepEqual(made, [
    { address: "blob:0", options: { type: "module" } },
    { address: "blob:1", options: { type: undefined } },
  ]);
});

test("Vite's bundles of packages are looked past", (context) => {
  const { made } = noteWorkers(context);
  startFound(at("https://page.test/node_modules/.vite/deps/worker.js?worker_file&type=module"));
  assert.equal(made[0].address, "https://page.test/node_modules/affectlens/worker.js?worker_file&type=module");
  const untouched = ["https://page.test/worker.js", "https://page.test/node_modules/.vite/deps/more/worker.js"];
  for (const address of untouched) assert.equal(whereItLies(new URL(address)), address);
});

test("where the page's globals cannot be set, the worker is started as it is written", (context) => {
  const { made, Worker } = noteWorkers(context);
  Object.defineProperty(globalThis, "Worker", { value: Worker, writable: false, configurable: true });
  const { worker } = startFound(at("https://page.test/worker.js"));
  assert.ok(worker instanceof Worker);
  assert.equal(made.length, 1);
});

test("a module without an address of its own has nothing beside it, and says what to do", (context) => {
  const { Worker } = noteWorkers(context);
  const refused = { name: "AffectLensError", code: "module-failed", message: /^the worker does not start: .*; bundlers .*`import "affectlens\/inline"`/ };
  assert.throws(() => startFound(() => new Worker(new URL("./worker.js", undefined))), refused);
  assert.equal(globalThis.Worker, Worker);
});

test("a constructor that refuses is explained with the address", (context) => {
  setGlobals(context, {
    ...PAGE,
    Worker: class {
      constructor() {
        throw new DOMException("the origin is another one", "SecurityError");
      }
    },
  });
  assert.throws(() => startAt("https://page.test/worker.js"), { code: "module-failed", message: /the origin is another one; files from another origin/ });
});

test("a script that does not load is named, with what to do about it", (context) => {
  setGlobals(context, PAGE);
  for (const [address, said] of [
    ["https://page.test/worker.js", /loaded from https:\/\/page\.test\/worker\.js; bundlers that leave it behind need `import "affectlens\/inline"`.*`workerUrl`$/],
    ["https://page.test/node_modules/affectlens/worker.js", /; a development server of Vite .*`optimizeDeps: \{ exclude: \["affectlens", "affectlens-weights"\] \}`/],
    ["https://cdn.test/worker.js", /Access-Control-Allow-Origin.*`worker-src blob: https:\/\/cdn\.test`/],
    ["blob:https://page.test/1", /`affectlens\/inline` needs `worker-src blob:`/],
  ]) {
    assert.match(explainStart(address), said);
  }
  assert.match(leftBehind("wasmUrl"), /`wasmUrl`$/);
});

test("a page in the place of a file is seen", () => {
  const answer = (type) => isPage(new Response("", { headers: { "Content-Type": type } }));
  assert.deepEqual(["text/html; charset=utf-8", "TEXT/HTML", "application/wasm", "text/htmlx"].map(answer), [true, true, false, false]);
});

test("what is carried is handed to the worker, which is made of a text", async (context) => {
  const asked = [];
  fakeWorkers(context, (worker, request, id) => {
    asked.push(request);
    worker.done(id, structuredClone(LOADED));
  });
  const engine = { worker: "self", cpuWorker: "", listenWorklet: "", wasm: "AA==", cpuRelaxed: "", cpuSimd: "" };
  let loaded = 0;
  carry(async () => (loaded++, engine));
  assert.equal(loaded, 0);
  const weights = { detector: new Uint8Array(1), backbone: new Uint8Array(1) };
  await load({ weights });
  assert.deepEqual(asked[0].engine, engine);
  // Whoever says where the worker is has it from there.
  await load({ weights, workerUrl: "https://page.test/worker.js" });
  assert.equal(asked[1].engine, undefined);
  assert.equal(loaded, 1);
  carry(() => Promise.reject(new TypeError("no such chunk")));
  await assert.rejects(load({ weights }), { code: "module-failed", message: /`affectlens\/inline` does not load: no such chunk/ });
});

test("a carried wasm module comes as from a server", async () => {
  const module = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
  const response = unpack(gzipSync(module).toString("base64"));
  assert.equal(response.headers.get("Content-Type"), "application/wasm");
  assert.deepEqual(new Uint8Array(await response.arrayBuffer()), module);
});
