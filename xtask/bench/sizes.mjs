// @ts-check
// What a page of each engine fetches: bytes as they are and compressed with brotli at its best.
//
//   node sizes.mjs PACKAGES CACHE

import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { argv, stdout } from "node:process";
import { brotliCompressSync } from "node:zlib";

const [, , packages, cacheFile] = argv;
const modules = join(import.meta.dirname, "node_modules");
const library = join(packages, "affectlens");
const ort = join(modules, "onnxruntime-web/dist");

const ENGINES = {
  // `inline` is the same once more, for pages that load one script.
  affectlens: readdirSync(library)
    .filter((name) => /\.(js|wasm)$/.test(name) && !name.startsWith("inline"))
    .map((name) => join(library, name)),
  "onnxruntime-web, WebGPU": ["ort.webgpu.min.mjs", ...glue("asyncify")].map((name) => join(ort, name)),
  "onnxruntime-web, CPU": ["ort.wasm.min.mjs", ...glue()].map((name) => join(ort, name)),
  "human, wasm": [
    join(modules, "@vladmandic/human/dist/human.esm.js"),
    join(modules, "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm"),
  ],
};

/** @param {string} [build] */
function glue(build) {
  const stem = ["ort-wasm-simd-threaded", build].filter(Boolean).join(".");
  return [`${stem}.mjs`, `${stem}.wasm`];
}

/** @type {Record<string, number>} */
let known = {};
try {
  known = JSON.parse(readFileSync(cacheFile, "utf8"));
} catch {
  // The first time.
}

/** @type {Record<string, { bytes: number, brotli: number }>} */
const sizes = {};
for (const [engine, files] of Object.entries(ENGINES)) {
  const size = { bytes: 0, brotli: 0 };
  for (const file of files) {
    const { size: bytes, mtimeMs } = statSync(file);
    const key = `${file} ${bytes} ${mtimeMs}`;
    known[key] ??= brotliCompressSync(readFileSync(file)).length;
    size.bytes += bytes;
    size.brotli += known[key];
  }
  sizes[engine] = size;
}
writeFileSync(cacheFile, JSON.stringify(known));
stdout.write(JSON.stringify(sizes));
