import type { WeightsManifest } from "affectlens";

/** Where the files of this package are, how long they are, and their sha256: the option `weights` of affectlens' `load`. */
declare const weights: WeightsManifest & { version: string };
export default weights;
