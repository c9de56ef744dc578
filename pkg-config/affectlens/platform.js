// @ts-check
// What the package needs of the browser that it runs in.

import { AffectLensError } from "./errors.js";

const NEEDED = ["Worker", "WebAssembly", "OffscreenCanvas", "createImageBitmap"];

/** Refuses every place that is no browser, and browsers from before 2023. */
export function refuseOtherPlatforms() {
  const missing = NEEDED.filter((name) => !(name in globalThis));
  if (missing.length === 0) return;
  const hint =
    "call `load` in the page itself, not while it is rendered on a server; on a server use the program `affectlens analyze`";
  throw new AffectLensError("unsupported", `affectlens runs in a browser: there is no ${missing.join(", no ")} here; ${hint}`);
}
