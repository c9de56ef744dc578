// Messages between the page and its worker. Private to the package; not published.

import type { Engine } from "./engine.js";
import type { DetectorChoice, DeviceChoice, ErrorCode, FaceSettings, PoseVersion, Progress, Task, ViolenceSettings } from "./index.js";
import type { Picture } from "./picture.js";
import type { WeightsSource } from "./weights.js";

/** Settings as the module takes and gives them. */
export type GroupedSettings = { faces: FaceSettings; violence: ViolenceSettings };

export type GroupedChange = { faces?: Partial<FaceSettings>; violence?: Partial<ViolenceSettings> };

export type LoadRequest = {
  kind: "load";
  device: DeviceChoice;
  detector: DetectorChoice;
  tasks: Task[];
  audio: boolean;
  people: number;
  pose: PoseVersion;
  weights: WeightsSource;
  wasmUrl: string | undefined;
  /** What a worker before this one has loaded from there: with what the browser has compiled of it. */
  module: WebAssembly.Module | undefined;
  /** The package's files, where they are carried. */
  engine: Engine | undefined;
  threads: number | undefined;
  warmUp: boolean;
  settings: GroupedSettings | undefined;
  /** File of a personal head. */
  personal: Uint8Array | undefined;
  /** A model was there before and failed. */
  isRestart: boolean;
  /** The form of the GPU's kernels that a worker before this one has found the faster. */
  workgroupTiles: boolean | undefined;
};

/** A `knock` is answered at once, past all requests, as a sign of life. */
export type Message = { id: number; request: Request } | "knock";

export type Request =
  | LoadRequest
  | { kind: "analyze"; picture: Picture; timeMs: number }
  | { kind: "analyzeSingle"; picture: Picture }
  | { kind: "analyzeFace"; picture: Picture }
  /** Until `endFile` there is no live stream; `change` is of the settings for files. */
  | { kind: "beginFile"; change: GroupedChange }
  /** `turn`: degrees clockwise that put the picture upright. */
  | { kind: "push"; picture: Picture; turn: number; timeMs: number }
  | { kind: "finish" }
  | { kind: "endFile" }
  /** One channel at 16 kHz; `timeMs` is that of the first sample. */
  | { kind: "hear"; samples: Float32Array; timeMs: number }
  | { kind: "configure"; change: GroupedChange }
  /** `undefined` undoes it. */
  | { kind: "calibrate"; seconds: number | undefined }
  | { kind: "learn"; label: string }
  | { kind: "personalise" }
  /** `undefined` forgets it. */
  | { kind: "setPersonal"; file: Uint8Array | undefined }
  | { kind: "reset" };

export type Reply =
  | { kind: "done"; id: number; value: unknown }
  | { kind: "failed"; id: number; code: ErrorCode; message: string; fatal: boolean }
  /** The model is gone; nothing that waits will be answered. */
  | { kind: "stopped"; code: ErrorCode; message: string }
  /** `usesGpu`: what fails from here on is a failure of the GPU. */
  | { kind: "progress"; progress: Progress; usesGpu: boolean }
  | { kind: "here" }
  /** For the next worker, once this one has loaded. */
  | { kind: "module"; module: WebAssembly.Module }
  /** A network request after loading. */
  | { kind: "request"; url: string };
