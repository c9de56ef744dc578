// Leaves comments and blanks, which a page would fetch, out of the modules of a built package.
//
// node compact.mjs PACKAGE TOOLS: the folder with the built package, and the one in whose node_modules esbuild lies.

import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { argv } from "node:process";

const [folder, tools] = argv.slice(2);
const { transformSync } = createRequire(join(tools, "package.json"))("esbuild");

// Names stay, so that errors tell where they come from. Bundlers find files by expressions, and those stay too.
const OPTIONS = /** @type {const} */ ({ target: "esnext", charset: "utf8", legalComments: "none", minifyWhitespace: true });

for (const name of readdirSync(folder).filter((file) => file.endsWith(".js"))) {
  const text = readFileSync(join(folder, name), "utf8");
  writeFileSync(join(folder, name), transformSync(text, OPTIONS).code);
}
