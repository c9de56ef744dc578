// @ts-check
// How large the wasm module is, bytes. Written when the package is made; servers that compress do not tell.

export const MODULE_BYTES = 0;
