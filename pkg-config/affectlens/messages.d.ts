// What the page and its worker say to each other. Private to the package; not published.

import type { ErrorCode, Progress, Settings, Task } from "./index.js";
import type { Picture } from "./picture.js";
import type { WeightsSource } from "./weights.js";

export type LoadRequest = {
  kind: "load";
  device: string;
  tasks: Task[];
  weights: WeightsSource;
  wasmUrl: string | undefined;
  threads: number | undefined;
  warmUp: boolean;
  settings: Settings | undefined;
};

export type Request =
  | LoadRequest
  | { kind: "analyze"; picture: Picture; timeMs: number }
  | { kind: "analyzeFace"; picture: Picture }
  | { kind: "configure"; settings: Partial<Settings> }
  | { kind: "reset" };

export type Reply =
  | { kind: "done"; id: number; value: unknown }
  | { kind: "failed"; id: number; code: ErrorCode; message: string; fatal: boolean }
  /** The model is gone; nothing that waits will be answered. */
  | { kind: "stopped"; code: ErrorCode; message: string }
  | { kind: "progress"; progress: Progress }
  /** A network request after loading. */
  | { kind: "request"; url: string };
