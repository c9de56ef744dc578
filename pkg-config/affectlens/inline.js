// @ts-check
// The package with its worker and wasm modules inside, for bundlers that leave files behind. They are a module of their own
// that is loaded with the first lens; from then on nothing differs, whichever entry something was imported from.

import { carry } from "./engine.js";

export { AffectLensError, CONNECTIONS, KEYPOINTS, load } from "./index.js";

carry(() => import("./inline-engine.js"));
