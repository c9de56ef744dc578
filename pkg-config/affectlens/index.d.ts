/// <reference lib="esnext.disposable" />
import type { InPages } from "./browser.js";
import type {
  ActionUnitName,
  ActionUnitSource,
  DeviceChoice,
  DeviceKind,
  ExpressionName,
  ExpressionSource,
  Task,
  ValenceArousalSource,
  WeightsRole,
} from "./names.js";

export type { ActionUnitName, DeviceChoice, DeviceKind, ExpressionName, KeypointName, Task, WeightsRole } from "./names.js";
export { CONNECTIONS, KEYPOINTS } from "./names.js";

/**
 * Loads weights and module and gives a lens that is ready to analyse pictures. Safe to import anywhere; runs in browsers,
 * and rejects with the code `unsupported` elsewhere.
 */
export function load(options?: LoadOptions): Promise<Lens>;

export interface LoadOptions {
  /**
   * What to report; `expression` by default. `action-units` needs the weights `mesh` and `blendshapes`, or a head;
   * `violence` needs `violenceBackbone` and `violenceHead`, `pose` needs `poseDetector` and `poseLandmarks`; where no
   * other task is asked for, these two need no others, and no face is looked for. With the weights `mesh` faces are confirmed, whatever
   * the tasks.
   */
  tasks?: Task[];
  /**
   * Whether sound can be heard too, with `lens.listen`; off by default. Needs the weights `voice`, which tell whether somebody
   * speaks. Sound stays in the page, as pictures do.
   */
  audio?: boolean;
  /**
   * Network that finds faces. `short-range` (the default) finds those of at least about a tenth of the picture's longer
   * side; `full-range` those smaller than that too, at about five times the cost; `auto` has both, and while one finds
   * nothing the other has its turn. A picture always costs one run of one of them. The last two need the weights
   * `fullRangeDetector`.
   */
  detector?: DetectorChoice;
  /** With the task `pose`: people that are looked for in a picture at most, 1 to 100; 2 by default. Each takes a run of a network. */
  people?: number;
  /**
   * With the task `pose`: the network for the points of a body. `lite`, the default, is the fastest and the one in
   * `affectlens-weights`; `full` (weights `poseLandmarksFull`) and `heavy` (`poseLandmarksHeavy`) are more exact and slower.
   */
  pose?: PoseVersion;
  /** `auto` (the default) takes WebGPU and falls back to the CPU, with the reason in `lens.device.fallback`. */
  device?: DeviceChoice;
  /**
   * Where the weights are:
   * - an address: a folder with a `manifest.json` (default `./weights/`, seen from the document), or a manifest itself;
   * - a manifest with addresses: `import weights from "affectlens-weights"`;
   * - the files themselves, as bytes, `Blob`s or `File`s (copied; the caller vouches for them).
   */
  weights?: string | URL | WeightsManifest | WeightsBytes;
  /** Address of `affectlens_bg.wasm`, seen from the document, if a bundler or server moved it. */
  wasmUrl?: string | URL;
  /** Address of `worker.js`, seen from the document, if a bundler or server moved it. It may be of another origin. */
  workerUrl?: string | URL;
  /** Address of `listen-worklet.js`, which captures sound, seen from the document, if a bundler or server moved it. */
  workletUrl?: string | URL;
  /**
   * Threads of the CPU, 1 to 64, the worker's own included; by default as many as there are cores, at most four. More
   * than one need a page that is cross-origin isolated: elsewhere there is one, and `lens.device.cpu.fallback` gives the reason.
   */
  threads?: number;
  /** Runs the networks once while loading (the default), so that the first picture is not slow. */
  warmUp?: boolean;
  /** Called as loading goes on. */
  onProgress?: (progress: Progress) => void;
  /** Stops loading; `load` then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Networks that find faces. */
export type DetectorChoice = "auto" | "short-range" | "full-range";

/** Networks for the points of a body. */
export type PoseVersion = "lite" | "full" | "heavy";

/** What is in `manifest.json` of `affectlens-weights`. */
export interface WeightsManifest {
  files: { [role in WeightsRole]?: WeightsFile };
}

export interface WeightsFile {
  /** Address of the file; either this or `file`. */
  url?: string;
  /** Name of the file beside the manifest. */
  file?: string;
  /** Length of the file. */
  bytes: number;
  /** 64 hexadecimal digits. */
  sha256: string;
  [fact: string]: unknown;
}

/**
 * For faces `detector` (or `fullRangeDetector`, as `LoadOptions.detector` says) and `backbone` are needed, and one of
 * `pretrained` and `head`; for violence both of its own; for people `poseDetector` and the one that `LoadOptions.pose` names.
 * What the tasks cannot use is not read.
 */
export type WeightsBytes = { [role in WeightsRole]?: ArrayBuffer | Uint8Array | Blob };

export interface Progress {
  stage: "weights" | "device" | "warm-up";
  /** Bytes so far, in the stage `weights`: of the weights and the wasm module. */
  loadedBytes?: number;
  /** All bytes, in the stage `weights`; 0 until known. */
  totalBytes?: number;
  /** Whether all weights so far came from the Cache API. */
  cached?: boolean;
}

/**
 * A picture to analyse; it stays yours and is not changed. One that is still loading is waited for, a few seconds at most.
 * A `Blob` or `File` holds a picture in a format that the browser decodes. Transparent pictures are composed on black. At most
 * 67,108,864 pixels, and 16,384 a side.
 */
export type Picture =
  | InPages<"HTMLVideoElement">
  | VideoFrame
  | ImageBitmap
  | ImageData
  | InPages<"HTMLCanvasElement">
  | OffscreenCanvas
  | InPages<"HTMLImageElement">
  | Blob
  | { data: Uint8ClampedArray | Uint8Array; width: number; height: number };

/** A model in a worker. Calls are answered one after the other, in the order in which their pictures arrive. */
export interface Lens {
  /** Analyses the next picture of a stream: ids are kept, bodies followed, scores smoothed and windows filled from call to call. */
  analyze(picture: Picture, options?: AnalyzeOptions): Promise<FrameReport>;
  /** The expression of one face that fills the picture; not part of the stream, never smoothed. Needs a task of faces. */
  analyzeFace(picture: Picture): Promise<ExpressionReport>;
  /**
   * Hears a source until it ends, beside the pictures: their reports then have `audio`. One source at a time: a new one
   * ends the one before. Needs `audio: true` in `load`, and rejects with a code that begins with `sound-` where there is
   * nothing to hear. See `Sound` for what can be heard, and at which times it is.
   */
  listen(source: Sound, options?: ListenOptions): Promise<Listening>;
  /** Changes some settings from the next picture on; gives all of them. */
  configure(settings: SettingsChange): Promise<Settings>;
  /**
   * Takes what each face shows from the next picture on, for some seconds of the stream, as the person's neutral look, and
   * takes that off its expression and action units afterwards: see `FaceReport.baseline`. Resolves at once. `null` undoes it.
   */
  calibrate(options?: CalibrateOptions | null): Promise<void>;
  /**
   * Learns that the only face of the newest picture shows this expression; rejects where there is another number of faces.
   * Gives the number of faces that were learnt of each. Of an expression the newest 64 are kept. Needs the task `expression`.
   */
  learn(label: ExpressionName): Promise<Counts>;
  /**
   * Makes a personal head of what was learnt, of two expressions at least, and puts it in force from the next picture on: see
   * `FaceReport.personal`. It has a part in every face, so it is for pictures of one person. Takes seconds for hundreds of
   * faces; nothing is analysed meanwhile.
   */
  personalise(): Promise<Personal>;
  /** Puts a personal head of the same model in force from the next picture on; `null` forgets it, and what was learnt. */
  personalise(head: Uint8Array | null): Promise<void>;
  /**
   * Forgets the stream: ids, smoothing, windows, frame count. Call it before another video; a jump within one begins a new
   * stream by itself, see `FrameReport.restarted`.
   */
  reset(): Promise<void>;
  /** Ends the worker and frees its memory. Later calls reject with the code `disposed`. May be called again. */
  dispose(): void;
  /** As `dispose`, at the end of the block that declares the lens with `using`. */
  [Symbol.dispose](): void;
  /** What the networks run on. */
  readonly device: DeviceReport;
  /** The settings in force; at first those that the weights were tuned for. */
  readonly settings: Settings;
  /** The networks that detect violence; `null` without that task. */
  readonly violence: ViolenceFacts | null;
  /** What sound is heard with; `null` without `audio: true`. */
  readonly sound: SoundFacts | null;
  readonly timings: Timings;
  /** Network requests that the worker made since it was loaded: 0. */
  readonly requestsAfterLoad: number;
  readonly disposed: boolean;
}

export interface AnalyzeOptions {
  /** Time of the picture in its stream, a finite number; by default a video's own time, else the clock. */
  timeMs?: number;
  /**
   * The picture belongs to no stream: the one so far ends as with `reset()`, no time is kept, and violence is not estimated.
   * Faces are looked for more closely, which takes longer: with the detector `auto` small ones too, in up to 155 parts of
   * the picture.
   */
  single?: boolean;
}

/** Faces by expression. */
export type Counts = { [name in ExpressionName]?: number };

/** A personal head, and how it does on the faces that it was made of. */
export interface Personal {
  /** The head, a safetensors file. It says something about a face: keep it as you would a picture. */
  head: Uint8Array;
  /** Faces of each expression that it was made of. */
  faces: Counts;
  /**
   * Share of the faces that the model reads right without it, each expression counting alike; `null` where no expression has
   * two faces.
   */
  before: number | null;
  /** The same with it: each half of the faces is read with what the other half taught. */
  after: number | null;
}

export interface CalibrateOptions {
  /** How long the people look neutral, above 0 and at most 60; 3 by default. Counted in the times of pictures. */
  seconds?: number;
}

/**
 * Sound that the lens can hear. All of it is mixed to one channel and brought to 16,000 samples a second.
 * - A `MediaStream` (a microphone, say): from now on, at the times that pictures have which are analysed meanwhile.
 * - An element: while it plays at its usual speed, at its own times; it is still heard aloud as before, and may be muted
 *   where the browser has `captureStream`. A jump in it begins the sound anew.
 * - An `AudioBuffer`, `Blob` or `File` (of sound, or a video with sound; at most 256 MiB): along with the pictures, each time as
 *   far as the picture that is analysed. It begins at time 0.
 */
export type Sound = InPages<"MediaStream"> | InPages<"HTMLMediaElement"> | InPages<"AudioBuffer"> | Blob;

export interface ListenOptions {
  /** A `MediaStream` was made for this alone: its tracks are stopped at the end, and the microphone is free. Off by default. */
  own?: boolean;
  /**
   * Gives the time that a picture would have which is analysed now, milliseconds; no number where sound is not wanted. By
   * default an element's own time, and for a stream what the times of the pictures so far tell.
   */
  clock?: () => number;
  /** Called with each new `level`, about 31 times a second. */
  onLevel?: (level: number) => void;
  /** Ends it as `stop` does. */
  signal?: AbortSignal;
}

/** One source that is heard. It ends with `stop`, its signal, `lens.dispose()`, another call of `listen`, or by itself. */
export interface Listening {
  /** The loudest sample of the last 32 ms (of a file: of the last piece, a second at most), 0 to 1; 0 where nothing is heard. */
  readonly level: number;
  /** How much was dropped because the model was busy with pictures for more than two seconds, milliseconds. */
  readonly droppedMs: number;
  /** Ends it. What had been opened for it is closed; your stream or element stays as it is, unless it is `own`. */
  stop(): void;
  /** As `stop`, for `using`. */
  [Symbol.dispose](): void;
  /** How it ended; rejects if the model cannot hear any more. */
  readonly ended: Promise<ListeningEnd>;
}

export type ListeningEnd =
  /** By `stop`, the signal, `dispose`, or another `listen`. */
  | "stopped"
  /** The pictures came to the end of a file. */
  | "finished"
  /** The stream has no live track any more: the microphone was unplugged or taken away. */
  | "lost";

/** What sound is heard with. */
export interface SoundFacts {
  /** Reports tell whether somebody speaks. */
  speech: true;
  /** Whether expressions are told from sound too: with `audioEncoder` and `audioExpressionHead` among the weights. */
  expression: boolean;
  /** Length of the sound that expressions are told from, milliseconds; `null` where they are not. */
  windowMs: number | null;
}

/** Settings of expression, valence, arousal and action units. */
export interface FaceSettings {
  /** Corrects for how rare each expression was in training (per-class biases found on validation data). */
  gla: boolean;
  /** Scores are averaged over this frame and twice this number of frames before it; 0 is off. A live stream starts with 5. */
  halfWindow: number;
  /** The same for valence and arousal. A live stream starts with 5. */
  valenceArousalHalfWindow: number;
  /** The same for action units. A live stream starts with 2. */
  actionUnitsHalfWindow: number;
  /** Above this probability the pretrained classifier decides instead of the head; 1 leaves all to the head. */
  confidence: number;
  /** Weight of the head in the average of log-probabilities with the pretrained classifier, 0 to 1. */
  blend: number;
  /** Whether reports hold the points of the face mesh, where `mesh` is loaded; off at first. */
  landmarks: boolean;
  /** Whether faces on their side or upside down are looked for too: each picture is looked at in four directions; off at first. */
  turned: boolean;
  /** Score of a detection from which it may be a face, 0 to 1; 0.5 at first. */
  detectorThreshold: number;
  /** Weight of the face in the average of its probabilities with those of sound, 0 to 1, where a head over sound is loaded; 1 leaves sound out. */
  faceWeight: number;
  /** Whether sound counts only where somebody speaks: where the voice detector gives 0.5 or more. */
  speechOnly: boolean;
}

/** Settings of violence. */
export interface ViolenceSettings {
  /** From this probability on a frame is called violent, 0 to 1; at first the head's own. */
  threshold: number;
  /** The head runs once per this number of sampled frames; 1, the least, is the default. More is cheaper and coarser. */
  every: number;
}

/** All settings without groups: those of violence begin with the name of their group. */
export interface FlatSettings extends FaceSettings {
  violenceThreshold: ViolenceSettings["threshold"];
  violenceEvery: ViolenceSettings["every"];
}

/** The settings in force in both spellings. Copies (`{ ...settings }`, JSON) hold the flat one. */
export interface Settings extends FlatSettings {
  readonly faces: FaceSettings;
  readonly violence: ViolenceSettings;
}

/** Settings to change, in either spelling: `{ violence: { threshold: 0.4 } }` or `{ violenceThreshold: 0.4 }`. */
export interface SettingsChange extends Partial<FlatSettings> {
  faces?: Partial<FaceSettings>;
  violence?: Partial<ViolenceSettings>;
}

/** The networks that detect violence, and their window. */
export interface ViolenceFacts {
  /** Name of the network that describes each sampled frame. */
  backbone: string;
  /** Name of the network that looks at a window of frames. */
  head: string;
  /** Sampled frames of a window. */
  length: number;
  /** How many frames of a second are sampled; `null`: every one that is analysed. */
  framesPerSecond: number | null;
  /** How long a window is. */
  spanMs: number;
}

export interface DeviceReport {
  kind: DeviceKind;
  /** Name of the graphics adapter; empty on the CPU. */
  adapter: string;
  /** Why WebGPU is not used although `auto` would have; else `null`. */
  fallback: string | null;
  /** How networks run on the CPU; `null` on WebGPU. */
  cpu: CpuReport | null;
}

export interface CpuReport {
  /** Threads that compute, the worker's own included. */
  threads: number;
  /** Whether the browser's relaxed SIMD instructions are used. */
  relaxedSimd: boolean;
  /** Why there are fewer threads than could be, or no relaxed SIMD although the browser has it; else `null`. */
  fallback: string | null;
}

export interface Timings {
  /** All of `load`. */
  loadMs: number;
  /** Weights and module together. */
  gatherMs: number;
  /** Fetching and compiling the module alone. */
  moduleMs: number;
  /** Opening the device and building the networks. */
  openMs: number;
  warmUpMs: number;
  /** The first call of `analyze` or `analyzeFace`; `null` until then. */
  firstResultMs: number | null;
}

/** The same JSON as the command line's. */
export interface FrameReport {
  frame: number;
  time_ms: number;
  /**
   * A new stream began by itself with this picture: its time lies before that of the last one, or after it by more than
   * violence's window, two seconds at least, and ten times the usual step. Nothing from before was smoothed into it. `frame`
   * and the ids of faces go on.
   */
  restarted?: true;
  /** Without a task of faces always empty. */
  faces: FaceReport[];
  /** With the task `violence`. */
  violence?: ViolenceReport;
  /** With the task `pose`: the people who are followed come first. Empty where nobody is found. */
  people?: PersonReport[];
  /** What is heard at the time of the picture, where somebody listens and sound has come that far. */
  audio?: AudioReport;
}

/** What is heard. */
export interface AudioReport {
  /** Probability that somebody speaks, 0 to 1. */
  speech?: number;
  /** What the sound alone is like, where `lens.sound.expression` is true. */
  probabilities?: { [name in ExpressionName]?: number };
  /** How much sound they are told from. */
  window_ms?: number;
  /** From the end of that sound to the time of the picture. */
  delay_ms?: number;
}

/** Violence in the whole picture; `probability` is undefined until the first window is full. */
export type ViolenceReport = ViolenceWarmUp | ViolenceEstimate;

/** The first window is not full: nothing is known yet. */
export interface ViolenceWarmUp {
  /** How much of the stream is still to come before it is. */
  warming_up_ms: number;
  /** The window at the rate so far, if that is too slow. */
  window?: ViolenceWindow;
  probability?: undefined;
  violent?: undefined;
  delay_ms?: undefined;
  updates?: undefined;
}

export interface ViolenceEstimate {
  warming_up_ms?: undefined;
  /** Newest estimate for the newest frame that a window covers, 0 to 1. */
  probability: number;
  /** Whether the probability is at or above the setting `violence.threshold`. */
  violent: boolean;
  /** How long after a frame its probability can still change: later windows cover it too. */
  delay_ms: number;
  /**
   * Every frame whose estimate this call changed or made final, earlier ones included; empty where this picture was
   * not sampled.
   */
  updates: ViolenceUpdate[];
  /** The longest window that covers the frame; absent if all its frames have the same time. */
  window?: ViolenceWindow;
}

/** A window as its frames really came. */
export interface ViolenceWindow {
  /** From its first frame to its last. */
  span_ms: number;
  /** Sampled frames a second. */
  frames_per_second: number;
  /** Less than three quarters of the rate that the head was trained at: the probability is unreliable. */
  too_slow?: true;
}

export interface ViolenceUpdate {
  /** As in that frame's own report. */
  frame: number;
  time_ms: number;
  /** Mean over the windows so far that cover the frame, 0 to 1. */
  probability: number;
  /** No later window covers the frame. */
  final: boolean;
}

export interface PersonReport {
  /** Stays with a person from picture to picture; the ids of faces are others. */
  id: number;
  /** x, y, width, height around all points, those that cannot be seen too; picture pixels. */
  box: [number, number, number, number];
  /** How sure the network is that there is a person, 0 to 1. */
  score: number;
  /** The 33 points of the body in the order of `KEYPOINTS`. Those that cannot be seen are guesses, and may lie beyond the picture. */
  keypoints: Keypoint[];
}

/**
 * A point of a body: x and y in picture pixels; z in the same scale, about 0 at the hips, smaller towards the camera; and
 * the probability that it can be seen, 0 to 1.
 */
export type Keypoint = [x: number, y: number, z: number, visibility: number];

export interface FaceReport {
  /** Stays with a face from picture to picture. */
  id: number;
  /** x, y, width, height in picture pixels; may reach over the border. */
  box: [number, number, number, number];
  /** How sure the detector is, 0 to 1. */
  score: number;
  /** With the task `expression`. */
  expression?: ExpressionReport;
  /** With the task `valence-arousal`: unpleasant to pleasant, -1 to 1. */
  valence?: number;
  /** With the task `valence-arousal`: calm to excited, -1 to 1. */
  arousal?: number;
  /** With the task `action-units`, where the mesh was found: strength of each unit, 0 to 1. */
  action_units?: { [name in ActionUnitName]?: number };
  /** Where valence, arousal and action units come from. */
  sources?: Sources;
  /** The person's neutral look was taken off expression and action units: the face has been seen while `calibrate` looked. */
  baseline?: true;
  /** A personal head had a part in the expression. */
  personal?: true;
  /** With the setting `landmarks`: x, y and z of 478 points, picture pixels. */
  landmarks?: [number, number, number][];
}

export interface Sources {
  valence_arousal?: {
    /** `derived`: no model was trained on them; they are the expressions' places in the circumplex, weighted. */
    source: ValenceArousalSource;
  };
  action_units?: {
    source: ActionUnitSource;
    /** Units whose strength is taken from a related movement, not from their own. */
    proxies?: ActionUnitName[];
    /** Units at or above the head's thresholds. */
    present?: ActionUnitName[];
  };
}

/** What a face shows; not what the person feels. */
export interface ExpressionReport {
  label: ExpressionName;
  confidence: number;
  /** Which classifier decided. */
  source: ExpressionSource;
  probabilities: { [name in ExpressionName]?: number };
}

/** An error with a stable `code`; the message is for people and may change. */
export class AffectLensError extends Error {
  constructor(code: ErrorCode, message: string, options?: ErrorOptions);
  readonly code: ErrorCode;
}

export type ErrorCode =
  /** An argument of the wrong kind or out of range. */
  | "bad-argument"
  /** A picture of no pixels or too many, or whose bytes do not match its size. */
  | "picture-size"
  /** A picture that is closed, not loaded in time, or not decoded by this browser; the message says what to do. */
  | "picture-empty"
  /** A picture from another origin without CORS; the message says what to do. */
  | "picture-tainted"
  /** A video file that cannot be fetched, or of which nothing comes. */
  | "video-missing"
  /** A file that is no video, or is broken. */
  | "video-malformed"
  /** A video that this browser cannot decode: it has no WebCodecs, or not this codec; the message says which. */
  | "video-unsupported"
  /** Nothing to hear: a stream, element or file without sound, or one that this browser does not decode. */
  | "sound-empty"
  /** Sound from another origin without CORS; the message says what to do. */
  | "sound-tainted"
  /** The browser starts no sound: before the visitor has clicked or pressed a key, or, in some, without a loudspeaker. */
  | "sound-blocked"
  /** The visitor, the browser or the page's policy does not allow the camera. */
  | "camera-denied"
  /** There is no camera. */
  | "camera-none"
  /** The camera does not answer or shows nothing, mostly since another program has it. */
  | "camera-in-use"
  /** The camera that was asked for, or was open, is gone. */
  | "camera-lost"
  /** The visitor, the browser or the page's policy does not allow the microphone. */
  | "microphone-denied"
  /** There is no microphone. */
  | "microphone-none"
  /** The microphone does not answer, mostly since another program has it. */
  | "microphone-in-use"
  /** The microphone that was asked for is gone. */
  | "microphone-lost"
  /** A weights file that is not there, does not come, or that the model needs. */
  | "weights-missing"
  /** Bytes that are not a weights file or manifest, are cut short, or belong to another network. */
  | "weights-malformed"
  /** Not the published bytes. */
  | "weights-digest"
  /** `device: "webgpu"` where there is none. */
  | "webgpu-unavailable"
  /** The GPU went away. The calls under way failed; the next one starts a new worker, or later, if it fails again and again. */
  | "device-lost"
  /** The device gave no result for this picture, or none in time. */
  | "device-failed"
  /** The model stopped, or fell silent. The calls under way failed; the next one starts a new worker, as after a lost GPU. */
  | "crashed"
  /** A worker, worklet or wasm module cannot be fetched or started; `workerUrl`, `workletUrl` and `wasmUrl` give other addresses. */
  | "module-failed"
  /** Weights cannot be checked, and cameras, microphones and sound cannot be opened, outside https and localhost. */
  | "insecure-context"
  /** A broken promise of our own: please report it. */
  | "internal"
  /** No browser, or one from before 2023. */
  | "unsupported"
  /** The lens was disposed. */
  | "disposed";
