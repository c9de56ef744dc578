/// <reference lib="esnext.disposable" />
/**
 * Opens a camera, and shows it in an element if there is one. Rejects with
 * - `camera-denied`: the visitor, the browser or the page's policy does not allow it;
 * - `camera-none`: there is none;
 * - `camera-in-use`: it does not answer, mostly since another program has it;
 * - `camera-lost`: the one that was asked for is gone;
 * - `insecure-context`: the page is neither on https nor on localhost.
 *
 * ```js
 * const camera = await openCamera({ video: document.querySelector("video") });
 * ```
 */
export function openCamera(options?: CameraOptions): Promise<Camera>;

/**
 * The cameras of the machine. Before one was allowed browsers tell of none; after that each has a name.
 */
export function listCameras(): Promise<CameraInfo[]>;

export interface CameraOptions {
  /** Shows the camera, muted and playing, and is waited for until it has a picture. */
  video?: HTMLVideoElement;
  /** One of several: an `id` of `listCameras`. */
  deviceId?: string;
  /** Which side of a phone, where no `deviceId` is given: the `"user"`'s (default), or what is around (`"environment"`). */
  facing?: "user" | "environment";
  /** Wanted width and height, pixels; 640 and 480 by default. Browsers take what comes nearest. */
  width?: number;
  height?: number;
  /** Closes it as `close` does, also while it opens. */
  signal?: AbortSignal;
}

export interface CameraInfo {
  id: string;
  label: string;
}

export type CameraState = "open" | "lost" | "closed";

export interface Camera {
  /** `lost`: it was unplugged or taken away. */
  readonly state: CameraState;
  /** What it gives; another stream after `switchTo`. */
  readonly stream: MediaStream;
  readonly deviceId: string;
  readonly label: string;
  /** Closes this one and opens another one in its place, in the same element. A failure closes both. */
  switchTo(deviceId: string): Promise<void>;
  /** Stops it: its light goes out. May be called again. */
  close(): void;
  /** As `close`, for `using`. */
  [Symbol.dispose](): void;
  /** How it ended. */
  readonly ended: Promise<"closed" | "lost">;
}
