// Empties the functions of CubeCL's compiler in the module of the package `affectlens`: a third of the module, which no page ever
// runs, for its kernels are finished WGSL. The linker keeps it, since the GPU's server could be handed a kernel without.
//
// node shed-compiler.mjs MODULE TOOLS: the module with the names of its functions, and the folder in whose node_modules binaryen
// lies. A page that called an emptied function would end with `unreachable`; wasm-opt then removes what only they call.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { argv } from "node:process";
import { pathToFileURL } from "node:url";

const [file, tools] = argv.slice(2);
const found = createRequire(join(tools, "package.json")).resolve("binaryen");
const { default: binaryen } = await import(pathToFileURL(found).href);

// Its intermediate representation, the parsers and printers of that, its passes, and what writes WGSL. Not here: types and properties
// by which the server tells devices and kernels apart.
const OF_THE_COMPILER = new RegExp(
  `^(<&?(mut )?)?(T as )?(${[
    "combine::",
    "cubecl_core::(frontend|post_processing)::",
    "cubecl_ir::(apfloat|attributes|dialect|interfaces|rewrite|scope|types)::",
    "cubecl_opt::",
    "cubecl_wgpu::compiler::wgsl::",
    "pliron",
    "rustc_apfloat::",
  ].join("|")})`,
);

// A kernel hands over an empty program with its text. What makes that runs, and one function that it reaches through a table, where
// calls cannot be followed.
const RUNS = [/Shader as .*CubeKernel>::define/, /pliron::context::verify_dict_keys/];

// Puts every operation of the compiler on a list before anything runs.
const REGISTRATION = "__wasm_call_ctors";
const REGISTERS = /^(cubecl_|pliron).*::__ctor::/;

const module = binaryen.readBinary(readFileSync(file));
const functions = new Map();
for (let index = 0; index < module.getNumFunctions(); index++) {
  const reference = module.getFunctionByIndex(index);
  const { name, base, body } = binaryen.getFunctionInfo(reference);
  if (!base) functions.set(name, { reference, body });
}

function calledBy(name) {
  const text = binaryen.emitText(functions.get(name).body);
  return [...text.matchAll(/\((?:return_)?call \$(?:"([^"]+)"|([^\s()]+))/g)].map(([, quoted, plain]) => quoted ?? plain);
}

const kept = new Set();
const open = RUNS.map((pattern) => {
  const name = [...functions.keys()].find((name) => pattern.test(name));
  if (!name) throw new Error(`${file} has no function named ${pattern}: were names stripped, or is CubeCL another?`);
  return name;
});
while (open.length > 0) {
  const name = open.pop();
  if (kept.has(name) || !functions.has(name)) continue;
  kept.add(name);
  open.push(...calledBy(name));
}

const strangers = calledBy(REGISTRATION).filter((name) => !REGISTERS.test(name));
if (strangers.length > 0) throw new Error(`${REGISTRATION} of ${file} starts ${strangers[0]}, which is not of the compiler`);
binaryen.Function.setBody(functions.get(REGISTRATION).reference, module.nop());

for (const [name, { reference }] of functions) {
  if (OF_THE_COMPILER.test(name) && !kept.has(name)) binaryen.Function.setBody(reference, module.unreachable());
}
binaryen.setDebugInfo(true);
writeFileSync(file, module.emitBinary());
