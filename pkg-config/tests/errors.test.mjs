// The error codes: documented, listed and thrown are the same.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { ERROR_CODES } from "../affectlens/errors.js";

const root = join(import.meta.dirname, "../..");
const read = (file) => readFileSync(join(root, file), "utf8");

test("every code is described where the types are, and no other", () => {
  const union = read("pkg-config/affectlens/index.d.ts").split("export type ErrorCode =")[1].split(";\n")[0];
  const described = [...union.matchAll(/\/\*\* .+ \*\/\n +\| "([a-z-]+)"/g)].map(([, code]) => code);
  assert.deepEqual(described, [...ERROR_CODES]);
});

test("the engine's errors have listed codes", () => {
  const thrown = ["src/web/error.rs", "src/lens/error.rs", "src/networks/device.rs"].flatMap((file) => {
    // A function `code` names them, where there is one.
    const text = /pub fn code\([^]*?\n    \}\n/.exec(read(file))?.[0] ?? read(file);
    const codes = [...text.matchAll(/(?:=> |failure\()"([a-z-]+)"/g)].map(([, code]) => code);
    assert.ok(codes.length > 0, `${file} names no code`);
    return codes;
  });
  for (const code of thrown) assert.ok(ERROR_CODES.includes(code), `${code} is not listed`);
});

test("the package's own errors have listed codes, and none is listed in vain", () => {
  const sources = readdirSync(join(root, "pkg-config/affectlens")).filter((name) => name.endsWith(".js"));
  const scripts = sources.filter((name) => name !== "errors.js").map((name) => read(`pkg-config/affectlens/${name}`));
  const engine = ["src/web/error.rs", "src/lens/error.rs", "src/networks/device.rs"].map(read);
  for (const script of scripts) {
    for (const [, code] of script.matchAll(/new AffectLensError\(\s*"([^"]+)"/g)) assert.ok(ERROR_CODES.includes(code), code);
  }
  // `bad-argument` is thrown by name where arguments are checked.
  const all = [...scripts, ...engine, read("pkg-config/affectlens/errors.js").split("export class")[1]].join("");
  for (const code of ERROR_CODES) assert.ok(all.includes(`"${code}"`), `${code} is never thrown`);
});
