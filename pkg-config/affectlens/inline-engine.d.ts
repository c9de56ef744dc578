// What `xtask` makes of the built package (`pkg-config/inline.mjs`). Private to the package; not published.
export const worker: string;
export const cpuWorker: string;
export const listenWorklet: string;
export const wasm: string;
export const cpuRelaxed: string;
export const cpuSimd: string;
