import type { FrameReport, Task } from "./index.js";

/**
 * Reports as a table, with the columns of `affectlens analyze --out FILE.csv`: a row a face and a row a person, and a row for a
 * frame without any. What is not known is an empty field. Estimates of violence are the newest for each frame.
 *
 * ```js
 * const csv = toCsv(reports, { file: "webcam" });
 * ```
 */
export function toCsv(reports: Iterable<Report>, options?: ExportOptions): string;

/**
 * Reports as lines of JSON, as `affectlens analyze` gives them: one a frame. An estimate of violence that later frames would have
 * changed says so, `"final": false`.
 */
export function toJsonLines(reports: Iterable<Report>, options?: ExportOptions): string;

export interface ExportOptions {
  /** The first field of each row; lines of JSON have none without it. */
  file?: string;
  /** What the columns of a table tell of, as in `load`; by default what the reports tell of. */
  tasks?: readonly (Task | "pose")[];
  /** From which probability on a frame is violent: `lens.settings.violence.threshold`. Needed where reports tell of violence. */
  threshold?: number;
}

/** A report as the lens gives it, or as it was read from lines of JSON. */
export type Report = Omit<FrameReport, "violence" | "people"> & {
  violence?: FrameReport["violence"] | FinalViolence;
  people?: readonly Person[];
};

/** Violence in one frame that no later one changes. */
export interface FinalViolence {
  probability: number;
  violent?: boolean;
  /** `false` where later frames would have changed it. */
  final?: boolean;
}

/** One person in one frame. */
export interface Person {
  id: number;
  box: [number, number, number, number];
  score: number;
  /** x, y, z and visibility of 33 points, in the order of MediaPipe's pose. */
  keypoints: [number, number, number, number][];
}
