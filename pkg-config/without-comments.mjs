// Leaves comments, which a page would fetch, out of the modules of a built package.
//
// node without-comments.mjs PACKAGE TOOLS: the folder with the built package, and the one in whose node_modules esbuild lies.

import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { argv } from "node:process";

const [folder, tools] = argv.slice(2);
const { transformSync } = createRequire(join(tools, "package.json"))("esbuild");

/** Bundlers read comments of modules that find files or load others; those keep theirs. */
const SPEAKS_TO_BUNDLERS = /import\.meta|\bimport\(\s*["'`/]|webpack|@vite/;

for (const name of readdirSync(folder).filter((file) => file.endsWith(".js"))) {
  const text = readFileSync(join(folder, name), "utf8");
  // Types are imported in comments.
  if (SPEAKS_TO_BUNDLERS.test(text.replace(/import\("[^"]*"\)\./g, ""))) continue;
  const { code } = transformSync(text, { target: "esnext", charset: "utf8", legalComments: "none" });
  writeFileSync(join(folder, name), code);
}
