/// <reference lib="esnext.disposable" />
import type { InPages } from "./browser.js";
import type { FrameReport, Lens } from "./index.js";

/**
 * Follows a video, or a stream that need not be shown anywhere, from now on: each report is waited for before the next frame is
 * analysed, and frames that come meanwhile are dropped. A video that stands still is analysed once where it stands. While the
 * page is hidden nothing is. A failure that may pass (`device-lost`, say) costs one frame; the third in a row ends it.
 *
 * ```js
 * const watching = watch(lens, video, { onReport: ({ faces }) => console.log(faces.length) });
 * ```
 */
export function watch(lens: Pick<Lens, "analyze">, source: InPages<"HTMLVideoElement"> | InPages<"MediaStream">, options?: WatchOptions): Watching;

export interface WatchOptions {
  /** Called with each report. None is told that was asked for before the video jumped to another time. An exception ends it. */
  onReport?: (report: FrameReport, facts: ReportFacts) => void;
  /** Called with the number of frames that were shown and not analysed, since the one before was in flight. */
  onDrop?: (count: number) => void;
  /** Called with each failure. Without it only the one that ends the watch is told, by `ended`. */
  onError?: (error: unknown) => void;
  /**
   * Gives the time of a picture of a stream that is shown at `nowMs` of `performance.now()`; by default it is counted from the
   * first picture on. Files have their own times.
   */
  clock?: (nowMs: number) => number;
  /** Ends it as `stop` does. */
  signal?: AbortSignal;
}

export interface ReportFacts {
  /** From the call of `analyze` to the report, milliseconds. */
  latencyMs: number;
}

/** A source that is followed. */
export interface Watching {
  /** Whether nothing is analysed now because the page is hidden. */
  readonly paused: boolean;
  /** Analyses once more where a video stands still, for example under other settings. */
  lookAgain(): void;
  /** Ends it. Your video or stream goes on; the lens too. */
  stop(): void;
  /** As `stop`, for `using`. */
  [Symbol.dispose](): void;
  /** How it ended. Rejects with the failure that ended it. */
  readonly ended: Promise<WatchEnd>;
}

export type WatchEnd =
  /** By `stop`, the signal, or since the lens was disposed. */
  | "stopped"
  /** The stream's track has ended: the camera was unplugged or taken away. */
  | "lost";
