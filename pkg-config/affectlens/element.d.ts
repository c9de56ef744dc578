import type { FrameReport, Lens, LoadOptions } from "./index.js";

/**
 * `<affect-lens source="camera">`: a camera, video or picture with boxes and labels over it. To import the module makes the
 * element known. It needs the attribute `source` only; loads a lens of its own, and frees it and the camera when it is removed
 * from the page.
 *
 * | attribute | |
 * |---|---|
 * | `source` | `camera`, or the address of a video or picture |
 * | `tasks`, `detector`, `device`, `weights` | as in `load`; tasks are parted by spaces |
 *
 * Events: `ready` with the lens, `report` with each report, `error` with what went wrong (all in `detail`), and `lost` when the
 * camera is gone. To set the attribute `source` again begins anew after the last two.
 */
export class AffectLensElement extends HTMLElement {
  /** `camera`, or the address of a video or picture; `null` for none. */
  source: string | null;
  /** As in `load`: an address, a manifest or bytes. */
  get weights(): LoadOptions["weights"];
  set weights(weights: LoadOptions["weights"]);
  /** Once it is loaded, that is from `ready` on. */
  readonly lens: Lens | undefined;

  addEventListener<Name extends keyof AffectLensEvents>(
    name: Name,
    listener: (this: AffectLensElement, event: AffectLensEvents[Name]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(name: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
}

export interface AffectLensEvents {
  ready: CustomEvent<Lens>;
  report: CustomEvent<FrameReport>;
  error: CustomEvent<unknown>;
  lost: CustomEvent<undefined>;
}

declare global {
  interface HTMLElementTagNameMap {
    "affect-lens": AffectLensElement;
  }
}
