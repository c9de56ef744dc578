// Makes one script of the worklet of the package `affectlens`, and writes its `inline-engine.js`: worker and worklet as scripts, and
// the wasm modules, as texts.
//
// node inline.mjs PACKAGE TOOLS: the folder with the built package, and the one in whose node_modules esbuild lies.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { argv } from "node:process";
import { gzipSync } from "node:zlib";

const [folder, tools] = argv.slice(2);
const { buildSync } = createRequire(join(tools, "package.json"))("esbuild");

/** A script with all that it imports. */
function asOneScript(name) {
  const { outputFiles } = buildSync({
    entryPoints: [join(folder, name)],
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    legalComments: "none",
    write: false,
  });
  return outputFiles[0].text;
}

/** Browsers unpack gzip by themselves; what a server compresses further is the base64 alone. */
function asText(name) {
  return gzipSync(readFileSync(join(folder, name)), { level: 9 }).toString("base64");
}

const listenWorklet = asOneScript("listen-worklet.js");
writeFileSync(join(folder, "listen-worklet.js"), listenWorklet);

const parts = {
  worker: asOneScript("worker.js"),
  cpuWorker: asOneScript("cpu-worker.js"),
  listenWorklet,
  wasm: asText("affectlens_bg.wasm"),
  cpuRelaxed: asText("affectlens_cpu_relaxed.wasm"),
  cpuSimd: asText("affectlens_cpu_simd.wasm"),
};
const lines = Object.entries(parts).map(([name, text]) => `export const ${name} = ${JSON.stringify(text)};\n`);
writeFileSync(join(folder, "inline-engine.js"), lines.join(""));
