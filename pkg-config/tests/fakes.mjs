// Stand-ins for what a browser has and Node has not, and a clock that a test sets forward.

import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mock } from "node:test";
import { pathToFileURL } from "node:url";

/** Lets everything that is due run, promises of promises too. */
export async function settle() {
  for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock that stands still until it is told: `await clock.pass(ms)`. Ends with the test. */
export function stopClock(context) {
  let nowMs = 1000;
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const now = mock.method(performance, "now", () => nowMs);
  context.after(() => {
    mock.timers.reset();
    now.mock.restore();
  });
  return {
    async pass(ms) {
      for (const endMs = nowMs + ms; nowMs < endMs; ) {
        const step = Math.min(1000, endMs - nowMs);
        nowMs += step;
        mock.timers.tick(step);
        await settle();
      }
    },
  };
}

/** Sets globals for one test. */
export function setGlobals(context, values) {
  for (const [name, value] of Object.entries(values)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    context.after(() => (before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name]));
  }
}

/** What a promise fails with: `[code, message]`; `undefined` while it is pending, or if it did not fail. */
export function failureOf(promise) {
  const seen = { failure: undefined };
  promise.then(
    () => (seen.failure = ["none", ""]),
    (error) => (seen.failure = [error.code, error.message]),
  );
  return seen;
}

/** A frame of a video, which holds memory until it is closed. */
export class FakeFrame {
  static open = new Set();
  constructor({ width = 4, height = 4 } = {}) {
    this.displayWidth = this.codedWidth = width;
    this.displayHeight = height;
    this.timestamp = 0;
    FakeFrame.open.add(this);
  }
  get [Symbol.toStringTag]() {
    return "VideoFrame";
  }
  clone() {
    return new FakeFrame({ width: this.displayWidth, height: this.displayHeight });
  }
  close() {
    FakeFrame.open.delete(this);
  }
}

/** Answers of a loaded worker. */
export const LOADED = { device: { kind: "cpu", adapter: "", fallback: null, cpu: null }, settings: { faces: {}, violence: {} }, violence: null, sound: null, timings: {} };

/**
 * Puts fake workers in place of the browser's.
 *
 * @param {(worker: FakeWorker, request: any, id: number) => void} play what a worker does with a request; `knock`s are
 *   answered unless the worker `isGone`
 * @returns {FakeWorker[]} those that were started
 */
export function fakeWorkers(context, play) {
  const started = [];
  context.after(() => FakeFrame.open.clear());
  class FakeWorker extends EventTarget {
    isGone = false;
    isTerminated = false;
    constructor() {
      super();
      started.push(this);
    }
    postMessage(message, transfer = []) {
      if (this.refuses) throw this.refuses;
      // What moves away is gone from here.
      for (const moved of transfer) moved.close?.();
      if (this.isGone) return;
      queueMicrotask(() => {
        if (message === "knock") return this.say({ kind: "here" });
        play(this, message.request, message.id);
      });
    }
    say(data) {
      if (this.isTerminated) return;
      this.dispatchEvent(Object.assign(new Event("message"), { data }));
    }
    done(id, value) {
      this.say({ kind: "done", id, value });
    }
    fail(id, code, message = code, fatal = false) {
      this.say({ kind: "failed", id, code, message, fatal });
    }
    terminate() {
      this.isTerminated = true;
    }
  }
  setGlobals(context, {
    Worker: FakeWorker,
    OffscreenCanvas: class {},
    createImageBitmap: async () => new FakeFrame(),
    self: { origin: "https://page.test" },
    location: { href: "https://page.test/", origin: "https://page.test" },
  });
  return started;
}

const compileModule = WebAssembly.compile;

/**
 * A worker of the package itself, with a double in place of the wasm module.
 *
 * @param {Record<string, unknown>} [globals]
 */
export async function startWorkerScript(context, globals = {}) {
  const folder = mkdtempSync(join(tmpdir(), "affectlens-test-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(join(import.meta.dirname, "../affectlens"), folder, { recursive: true });
  cpSync(join(import.meta.dirname, "../../www/tests/double.js"), join(folder, "affectlens.js"));
  const replies = [];
  const scope = Object.assign(new EventTarget(), { origin: "https://page.test", postMessage: (reply) => replies.push(reply) });
  setGlobals(context, {
    self: scope,
    navigator: { hardwareConcurrency: 1 },
    PerformanceObserver: class {
      observe() {}
    },
    fetch: async () => new Response(new Uint8Array(4)),
    // What stands for the module is none, and the double needs none; Node has one of its own, a large one.
    WebAssembly: Object.assign(Object.create(WebAssembly), {
      compile: async (bytes) => (bytes.byteLength > 2000 ? compileModule(bytes) : {}),
    }),
    ...globals,
  });
  await import(pathToFileURL(join(folder, "worker.js")));
  let lastId = 0;
  return {
    replies,
    send: (data) => scope.dispatchEvent(Object.assign(new Event("message"), { data })),
    /** Sends a request; gives the reply once it is there. */
    ask(request) {
      const id = ++lastId;
      this.send({ id, request });
      return () => replies.find((reply) => reply.id === id);
    },
    load(options) {
      const files = { detector: new Uint8Array(1), backbone: new Uint8Array(1) };
      const plan = { kind: "load", device: "cpu", detector: "short-range", tasks: ["expression"], audio: false, weights: { kind: "bytes", files } };
      return this.ask({ ...plan, warmUp: false, isRestart: false, ...options });
    },
  };
}

/** The Cache API in memory; `trouble` is called with the name of each method that is used. */
export class FakeCaches {
  entries = new Map();
  constructor(trouble = async () => {}) {
    this.trouble = trouble;
  }
  async open() {
    await this.trouble("open");
    return this;
  }
  async match(key) {
    await this.trouble("match");
    const bytes = this.entries.get(key);
    if (bytes === undefined) return undefined;
    const content = new Response(bytes);
    const read = async (name) => {
      await this.trouble("read");
      return content[name]();
    };
    return { arrayBuffer: () => read("arrayBuffer"), text: () => read("text"), json: () => read("json") };
  }
  async put(key, response) {
    await this.trouble("put");
    this.entries.set(key, new Uint8Array(await response.arrayBuffer()));
  }
  async delete(key) {
    await this.trouble("delete");
    return this.entries.delete(key);
  }
  async keys() {
    await this.trouble("keys");
    return [...this.entries.keys()].map((url) => ({ url }));
  }
}
