// @ts-check
// Runs networks on the CPU in a small wasm module of its own: on several threads where the page is cross-origin
// isolated, and with relaxed SIMD where the browser has it. The large module has neither, and on one thread too some
// browsers run the small one several times faster.

import { instantiate } from "./cpu-instance.js";
import { textOf } from "./errors.js";
import { unpack } from "./engine.js";
import { startFound, startText } from "./start-worker.js";
import { ThreadChoice } from "./thread-choice.js";
import { within } from "./time-limit.js";

/**
 * @typedef {import("./cpu-instance.js").Start} Start
 * @typedef {import("./cpu-instance.js").Started} Started
 */

/** Threads unless the caller names a number. More gain little: the last layers of a network are small. */
const THREADS = 4;
/** Bytes of a page of memory. */
const PAGE = 65_536;
/** Pages to begin with, and at most; the module is linked for as many (`xtask/src/package.rs`). */
const FIRST_PAGES = 16;
const MOST_PAGES = 16_384;
/** Bytes of a cache line, on which programs and workspaces begin. */
const LINE = 64;
/** Bytes of a helper's stack. */
const STACK = 131_072;
/** A helper that has not answered by then is given up, and so is a module that has not come. */
const START_MS = 10_000;
const MODULE_MS = 20_000;

/** A module with `i8x16.relaxed_swizzle` in it. */
// prettier-ignore
const RELAXED_SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253,
  128, 2, 11,
]);

/** What the large module calls to run its networks; see `src/web/workers.rs`. */
export class CpuWorkers {
  #wanted;
  #engine;
  #report = { threads: 1, relaxedSimd: false, fallback: /** @type {string | null} */ (null) };
  /** @type {Promise<boolean> | undefined} */
  #starting;
  /** @type {Worker[]} */
  #helpers = [];
  /** @type {{ exports: import("./cpu-instance.js").Exports, memory: WebAssembly.Memory, heap: Heap } | undefined} */
  #instance;
  #workspace = { start: 0, bytes: 0 };
  /** By program. @type {Map<number, ThreadChoice>} */
  #choices = new Map();

  /**
   * @param {number | undefined} threads the one that calls included
   * @param {import("./engine.js").Engine} [engine] files that are carried
   */
  constructor(threads, engine) {
    this.#wanted = threads;
    this.#engine = engine;
  }

  /** How networks run on the CPU. */
  get report() {
    return { ...this.#report };
  }

  get threads() {
    return this.#report.threads;
  }

  /** Whether it is ready to run networks; started once. Never rejects: the large module can do without. */
  start() {
    return (this.#starting ??= this.#startOnce());
  }

  async #startOnce() {
    let threads = this.#wanted ?? Math.min(cores(), THREADS);
    if (threads > 1 && !globalThis.crossOriginIsolated) {
      this.#fallBack("one thread: the page is not cross-origin isolated");
      threads = 1;
    }
    try {
      const { module, relaxedSimd } = await this.#compile();
      await this.#open(module);
      if (threads > 1 && !(await this.#startHelpers(module, threads))) threads = 1;
      this.#report = { ...this.#report, threads, relaxedSimd };
      return true;
    } catch (error) {
      this.#fallBack(`one thread: the module for the CPU does not start: ${textOf(error)}`);
      return false;
    }
  }

  /**
   * @param {number} words of a program
   * @returns {number | undefined} its address, unless memory is short
   */
  reserve(words) {
    const program = this.#opened.heap.take(words * Uint32Array.BYTES_PER_ELEMENT);
    if (program !== undefined) this.#choices.set(program, new ThreadChoice(this.threads));
    return program;
  }

  /**
   * @param {number} program
   * @param {number} start
   * @param {Uint32Array} words of the program, from the place `start` on
   */
  write(program, start, words) {
    const address = program + start * Uint32Array.BYTES_PER_ELEMENT;
    new Uint32Array(this.#opened.heap.buffer, address, words.length).set(words);
  }

  /**
   * @param {number} program
   * @param {number} batch
   * @param {Float32Array} input
   * @param {Float32Array} output is written
   */
  run(program, batch, input, output) {
    const { heap, exports } = this.#opened;
    const bytes = exports.workspace_len(program, batch, this.threads);
    if (bytes > this.#workspace.bytes) {
      heap.give(this.#workspace.start);
      const start = heap.take(bytes);
      this.#workspace = { start: start ?? 0, bytes: start === undefined ? 0 : bytes };
      if (start === undefined) throw new Error(`${bytes} bytes of memory are not to be had`);
    }
    const { start } = this.#workspace;
    new Float32Array(heap.buffer, start, input.length).set(input);
    const choice = /** @type {ThreadChoice} */ (this.#choices.get(program));
    const started = performance.now();
    const result = exports.run(program, start, batch, choice.threads);
    choice.took((performance.now() - started) / batch);
    output.set(new Float32Array(heap.buffer, result, output.length));
  }

  /** @param {number} program */
  free(program) {
    this.#choices.delete(program);
    this.#opened.heap.give(program);
  }

  get #opened() {
    if (!this.#instance) throw new Error("the module for the CPU is not started");
    return this.#instance;
  }

  /** The module for this browser; the one without relaxed SIMD runs everywhere. */
  async #compile() {
    const { cpuRelaxed, cpuSimd } = this.#engine ?? {};
    // Bundlers find the files by these very expressions.
    if (WebAssembly.validate(RELAXED_SIMD)) {
      try {
        const module = await compile(() => new URL("./affectlens_cpu_relaxed.wasm", import.meta.url), cpuRelaxed);
        return { module, relaxedSimd: true };
      } catch (error) {
        this.#fallBack(`no relaxed SIMD: ${textOf(error)}`);
      }
    }
    const module = await compile(() => new URL("./affectlens_cpu_simd.wasm", import.meta.url), cpuSimd);
    return { module, relaxedSimd: false };
  }

  /** @param {WebAssembly.Module} module */
  async #open(module) {
    const memory = new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: MOST_PAGES, shared: true });
    const { exports } = await instantiate(module, memory);
    this.#instance = { exports, memory, heap: new Heap(memory, exports.__heap_base.value) };
  }

  /**
   * Whether all are ready. Where one is not, none stays.
   *
   * @param {WebAssembly.Module} module
   * @param {number} threads
   */
  async #startHelpers(module, threads) {
    const { memory, heap } = this.#opened;
    try {
      const starts = [];
      for (let thread = 1; thread < threads; thread++) {
        const stack = heap.take(STACK);
        if (stack === undefined) throw new Error("no memory for a stack");
        // Stacks grow downwards.
        starts.push(this.#startHelper({ module, memory, thread, stack: stack + STACK }));
      }
      await Promise.all(starts);
      return true;
    } catch (error) {
      for (const helper of this.#helpers) helper.terminate();
      this.#helpers = [];
      this.#fallBack(`one thread: ${textOf(error)}`);
      // A helper may have left its mark in the memory.
      await this.#open(module);
      return false;
    }
  }

  /** @param {Start} start */
  #startHelper(start) {
    const script = this.#engine?.cpuWorker;
    const { worker: helper } =
      script === undefined
        ? startFound(() => new Worker(new URL("./cpu-worker.js", import.meta.url), { type: "module" }))
        : startText(script);
    this.#helpers.push(helper);
    const started = /** @type {Promise<void>} */ (
      new Promise((resolve, reject) => {
        const fail = (/** @type {string} */ reason) => reject(new Error(`a helping worker: ${reason}`));
        helper.addEventListener("message", ({ data: { error } }) => {
          if (error === undefined) resolve();
          else fail(error);
        });
        helper.addEventListener("error", (event) => {
          // Told here, so that it is not an error of this worker too.
          event.preventDefault();
          fail(event.message || "its script cannot be loaded");
        });
        try {
          helper.postMessage(start);
        } catch (error) {
          fail(textOf(error));
        }
      })
    );
    return within(START_MS, started, () => new Error(`a helping worker: no answer in ${START_MS} ms`));
  }

  /** @param {string} reason */
  #fallBack(reason) {
    const { fallback } = this.#report;
    this.#report.fallback = fallback ? `${fallback}; ${reason}` : reason;
  }
}

/** Memory behind the module's own; pieces are taken and given back. */
class Heap {
  #memory;
  #first;
  /** @type {{ start: number, end: number }[]} what is taken, in order */
  #pieces = [];

  /**
   * @param {WebAssembly.Memory} memory
   * @param {number} first
   */
  constructor(memory, first) {
    this.#memory = memory;
    this.#first = roundUp(first, LINE);
  }

  get buffer() {
    return this.#memory.buffer;
  }

  /**
   * @param {number} bytes
   * @returns {number | undefined} where they are, unless the memory is full
   */
  take(bytes) {
    const length = roundUp(bytes, LINE);
    let start = this.#first;
    let index = this.#pieces.findIndex((piece) => {
      if (start + length <= piece.start) return true;
      start = piece.end;
      return false;
    });
    if (index < 0) index = this.#pieces.length;
    const missing = start + length - this.buffer.byteLength;
    if (missing > 0) {
      try {
        this.#memory.grow(Math.ceil(missing / PAGE));
      } catch {
        return undefined;
      }
    }
    this.#pieces.splice(index, 0, { start, end: start + length });
    return start;
  }

  /** @param {number} start of what was taken; else nothing happens */
  give(start) {
    this.#pieces = this.#pieces.filter((piece) => piece.start !== start);
  }
}

/** Threads that run at once; browsers may hide how many there are, behind 0 too. */
function cores() {
  const { hardwareConcurrency } = navigator;
  return Number.isInteger(hardwareConcurrency) && hardwareConcurrency >= 1 ? hardwareConcurrency : 1;
}

/**
 * @param {() => URL} beside the address beside this module
 * @param {string} [carried] the file itself
 */
async function compile(beside, carried) {
  if (carried !== undefined) return WebAssembly.compileStreaming(unpack(carried));
  const url = beside();
  const ended = new AbortController();
  const late = () => {
    ended.abort();
    return new Error(`\`${url}\` has not come in ${MODULE_MS / 1000} s`);
  };
  const fetched = async () => {
    const response = await fetch(url, { signal: ended.signal });
    if (!response.ok) throw new Error(`\`${url}\` answered ${response.status}`);
    return WebAssembly.compile(await response.arrayBuffer());
  };
  return within(MODULE_MS, fetched(), late);
}

/**
 * @param {number} value
 * @param {number} step
 */
function roundUp(value, step) {
  return Math.ceil(value / step) * step;
}
