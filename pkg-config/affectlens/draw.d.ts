import type { InPages } from "./browser.js";
import type { FaceReport, PersonReport } from "./index.js";

/**
 * Draws what a report says over its picture: a box and a label for each face, the points of its mesh and people's skeletons
 * where the report has them. The canvas lies over the picture's element and is as large; what was on it is cleared. It gets as
 * many pixels as the screen has there. Without a report it is only cleared.
 *
 * ```js
 * watch(lens, video, { onReport: (report) => draw(canvas, video, report) });
 * ```
 */
export function draw(canvas: InPages<"HTMLCanvasElement"> | OffscreenCanvas, picture: Shown, report: Drawable | null | undefined, options?: DrawOptions): void;

/** What was analysed, for its size and, where it is an element of the page, for how CSS fits it into its box; or only a size. */
export type Shown =
  | InPages<"HTMLVideoElement">
  | InPages<"HTMLImageElement">
  | InPages<"HTMLCanvasElement">
  | OffscreenCanvas
  | ImageBitmap
  | VideoFrame
  | { width: number; height: number };

/** What is drawn of a report. */
export interface Drawable {
  faces: readonly FaceReport[];
  people?: readonly Person[];
}

/** A person with the 33 points of a body, in the order of `KEYPOINTS`. */
export type Person = Pick<PersonReport, "keypoints"> & Partial<PersonReport>;

export interface DrawOptions extends SurfaceOptions, FaceStyle, SkeletonStyle {
  /** Boxes of faces; on by default, as all the others. */
  boxes?: boolean;
  labels?: boolean;
  mesh?: boolean;
  skeletons?: boolean;
}

export interface SurfaceOptions {
  /** Whether the picture is shown as in a mirror; by default where CSS mirrors its element (`scaleX(-1)`), but not the canvas. */
  mirrored?: boolean;
  /** How the picture is fitted into the canvas; by default as CSS has it for the picture's element, else `"contain"`. */
  fit?: Fit;
  /** Where it lies there, as CSS computes `object-position`: `"50% 50%"`, say; by default that of the element. */
  position?: string;
}

export type Fit = "contain" | "cover" | "fill" | "none" | "scale-down";

export interface FaceStyle {
  /** The colour of a face; by default one for each expression. */
  colour?: (face: FaceReport) => string;
  /** The label of a face, none where it is empty; by default its number, its expression and how sure that is. */
  label?: (face: FaceReport) => string;
  /** As CSS writes it; by default `600 14px system-ui, sans-serif`. */
  font?: string;
  /** The `id` of a face whose box is drawn stronger. */
  chosen?: number;
}

export interface SkeletonStyle {
  /** Points that are less visible than this, 0 to 1, are left out; 0.5 by default. */
  visibility?: number;
  /** What is written below a person; nothing by default. */
  personLabel?: (person: Person) => string;
  /** Of that, as CSS writes it; by default `600 14px system-ui, sans-serif`. */
  font?: string;
}

/** A canvas over a picture; it is drawn on in CSS pixels. */
export interface Surface extends Placement {
  context: InPages<"CanvasRenderingContext2D"> | OffscreenCanvasRenderingContext2D;
  /** Of the canvas, CSS pixels. */
  width: number;
  height: number;
  mirrored: boolean;
}

/** Where a picture lies. */
export interface Placement {
  /** CSS pixels for each pixel of the picture. */
  scaleX: number;
  scaleY: number;
  /** Where a point of the picture lies. */
  place(x: number, y: number): [number, number];
}

/** Clears a canvas and makes it ready for the functions below; nothing where the picture has no size yet. */
export function openSurface(canvas: InPages<"HTMLCanvasElement"> | OffscreenCanvas, picture: Shown, options?: SurfaceOptions): Surface | undefined;
export function drawBoxes(surface: Surface, faces: readonly FaceReport[], style?: Pick<FaceStyle, "colour" | "chosen">): void;
export function drawLabels(surface: Surface, faces: readonly FaceReport[], style?: Pick<FaceStyle, "label" | "font">): void;
export function drawMesh(surface: Surface, faces: readonly FaceReport[]): void;
/** The person's left in whole lines and round joints, right in broken lines and square joints. */
export function drawSkeletons(surface: Surface, people: readonly Person[], style?: SkeletonStyle): void;
/** Places a picture in a box as CSS does. */
export function fitPicture(
  picture: { width: number; height: number },
  box: { width: number; height: number },
  how?: { fit?: Fit; position?: string; mirrored?: boolean },
): Placement;
