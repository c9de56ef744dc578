// As `affectlens`, with worker and wasm modules inside: see the README's section on bundlers.
export * from "./index.js";
