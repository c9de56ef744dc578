// Makes few scripts of the many modules of a built package, without comments and blanks: a page fetches one after the other what
// modules import, and each takes a way to the server and back.
//
// node bundle.mjs PACKAGE TOOLS: the folder with the built package, and the one in whose node_modules esbuild lies.

import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { argv } from "node:process";

const [folder, tools] = argv.slice(2);
const { buildSync, transformSync } = createRequire(join(tools, "package.json"))("esbuild");

/** Scripts already: see `inline.mjs`. */
const SCRIPTS = ["inline-engine.js", "listen-worklet.js"];
/** What the wasm module's build has written stays a script of its own. */
const GLUE = "affectlens.js";
/** What the benchmark loads beside that and what the package exports. */
const UNPUBLISHED = ["cpu.js"];

const { exports, peerDependencies } = JSON.parse(readFileSync(join(folder, "package.template.json"), "utf8"));
const published = Object.values(exports).map((entry) => (entry.default ?? entry).slice(2));
const entries = new Set([...published, ...UNPUBLISHED].filter((name) => name.endsWith(".js") && !SCRIPTS.includes(name)));

// Names stay, so that errors tell where they come from. Bundlers find files by expressions, and those stay too.
const SHORT = /** @type {const} */ ({ target: "esnext", charset: "utf8", legalComments: "none", minifyWhitespace: true });

/**
 * The entries as scripts, and beside them what several share: an `AffectLensError` is one class to the page.
 *
 * @param {string[]} names
 */
function bundle(names) {
  const { outputFiles } = buildSync({
    entryPoints: names.map((name) => join(folder, name)),
    outdir: folder,
    bundle: true,
    splitting: true,
    chunkNames: "[name]-[hash]",
    external: [...Object.keys(peerDependencies), "./inline-engine.js", `./${GLUE}`],
    format: "esm",
    write: false,
    ...SHORT,
  });
  return outputFiles;
}

// A worker shares nothing with its page.
const alone = [...entries].filter((name) => name.endsWith("worker.js") || UNPUBLISHED.includes(name));
const outputFiles = [[...entries].filter((name) => !alone.includes(name)), ...alone.map((name) => [name])].flatMap(bundle);
const { code } = transformSync(readFileSync(join(folder, GLUE), "utf8"), SHORT);
for (const name of readdirSync(folder).filter((file) => file.endsWith(".js") && !SCRIPTS.includes(file))) {
  rmSync(join(folder, name));
}
// Without an export some tools take a script for CommonJS.
const marked = (/** @type {string} */ text) => (/\bexport\s*\{/.test(text) ? text : `${text}export{};\n`);
for (const { path, text } of outputFiles) writeFileSync(path, marked(text));
writeFileSync(join(folder, GLUE), code);
