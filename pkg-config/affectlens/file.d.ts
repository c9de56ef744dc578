import type { FrameReport, Lens, SettingsChange, ViolenceWindow } from "./index.js";

/**
 * Analyses a whole video file as `affectlens analyze` does: every frame that it holds, windows centred on each frame, and
 * probabilities of violence that no later frame changes. Needs the package `mediabunny`, which finds the frames in the file, and
 * a browser with WebCodecs, which decodes them. The file stays in the page; one with an address is fetched in pieces.
 *
 * Meanwhile the lens takes nothing else: `analyze`, `configure`, `calibrate` and `reset` are refused; its live stream begins anew
 * afterwards, under its own settings. Rejects with `video-unsupported` where this browser cannot decode the video (play it and
 * `watch` it then), with `video-malformed` where it is none or is broken, and with `video-missing` where it cannot be fetched. The
 * reports of frames before the broken one have then been given to `onReport`.
 *
 * ```js
 * const reports = await analyzeFile(file, lens, { onProgress: ({ share }) => console.log(share) });
 * ```
 *
 * @returns The reports in the order of frames; none of them where `onReport` takes them.
 */
export function analyzeFile(source: Blob | string | URL, lens: Lens, options?: FileOptions): Promise<FileReport[]>;

export interface FileOptions {
  /** Called after each frame. An exception ends the analysis. */
  onProgress?: (progress: FileProgress) => void;
  /**
   * Takes each report once it is complete, so that those of a long video need not be kept: memory then does not grow with its
   * length. An exception ends the analysis.
   */
  onReport?: (report: FileReport) => void;
  /** Changes of the settings for files: what the options of the command line change. The lens's own settings do not count here. */
  settings?: SettingsChange;
  /** Ends the analysis at once; it then rejects with the signal's reason. */
  signal?: AbortSignal;
}

export interface FileProgress {
  /** Frames that were analysed. */
  frames: number;
  /** Time of the last one. */
  timeMs: number;
  /** Length of the video; `null` where the file does not tell. */
  durationMs: number | null;
  /** How much of it is done, 0 to 1; `null` where its length is not known. */
  share: number | null;
  /** How long the rest takes at the speed so far, milliseconds; `null` where that is not known. */
  leftMs: number | null;
}

/** The report on a frame of a file: the command line's. */
export type FileReport = Omit<FrameReport, "violence" | "audio"> & {
  /** With the task `violence`. */
  violence?: FileViolence;
};

/** Violence in one frame; no later one changes it. */
export interface FileViolence {
  /** 0 to 1. */
  probability: number;
  /** Whether the probability is at or above the setting `violence.threshold`. */
  violent: boolean;
  /** The window, if its frames come too slowly for the network. */
  window?: ViolenceWindow;
}
