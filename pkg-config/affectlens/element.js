// @ts-check
// <affect-lens>: a camera, video or picture with its reports drawn over it.

import { openCamera } from "./camera.js";
import { draw } from "./draw.js";
import { AffectLensError, badArgument, textOf } from "./errors.js";
import { load } from "./index.js";
import { watch } from "./watch.js";

/** To change one of them begins anew. */
const ATTRIBUTES = ["source", "tasks", "detector", "device", "weights"];
/** Addresses that end so are pictures; all others are videos. */
const PICTURE = /\.(?:png|jpe?g|webp|gif|avif|bmp|svg)$/i;
const CAMERA = "camera";

const STYLE = `
:host { display: block; position: relative; overflow: hidden; aspect-ratio: 4 / 3; background: #0c0f0e; color: #f2f5f4; }
:host([hidden]) { display: none; }
[part] { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; }
[part="picture"].mirrored { transform: scaleX(-1); }
[part="overlay"] { pointer-events: none; }
[part="status"] { inset: auto 0 0; width: auto; height: auto; margin: 0; padding: 0.5em 0.75em; background: rgb(0 0 0 / 0.78); font: 15px/1.4 system-ui, sans-serif; }
[part="status"]:empty { display: none; }
`;

/** There are no elements where pages are rendered on a server; there this module can be imported, and does nothing. */
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

export class AffectLensElement extends Base {
  static observedAttributes = ATTRIBUTES;

  /** A manifest or bytes, which no attribute holds. @type {import("./index.js").LoadOptions["weights"]} */
  #weights;
  /** @type {import("./index.js").Lens | undefined} */
  #lens;
  /** Ends everything that the current source has opened. @type {AbortController | undefined} */
  #run;
  /** What the current run was started for. @type {string | undefined} */
  #running;
  #isDue = false;
  /** @type {{ overlay: HTMLCanvasElement, status: HTMLElement } | undefined} */
  #parts;
  /** What is drawn now, for when the element changes its size. @type {() => void} */
  #redraw = () => {};
  /** @type {ResizeObserver | undefined} */
  #resizes;

  get lens() {
    return this.#lens;
  }

  get source() {
    return this.getAttribute("source");
  }

  set source(source) {
    if (source === null) this.removeAttribute("source");
    else this.setAttribute("source", source);
  }

  get weights() {
    return this.#weights ?? this.getAttribute("weights") ?? undefined;
  }

  set weights(weights) {
    this.#weights = weights;
    this.#running = undefined;
    this.#schedule();
  }

  connectedCallback() {
    // Set before the element was known, they lie over the accessors.
    for (const name of /** @type {const} */ (["weights", "source"])) {
      if (!Object.hasOwn(this, name)) continue;
      const { [name]: value } = this;
      delete (/** @type {Partial<AffectLensElement>} */ (this)[name]);
      /** @type {any} */ (this)[name] = value;
    }
    this.#schedule();
  }

  disconnectedCallback() {
    this.#schedule();
  }

  attributeChangedCallback() {
    this.#schedule();
  }

  /** Begins anew once all that changes in one go has changed; to be moved within the page changes nothing. */
  #schedule() {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      const { source } = this;
      const wanted = this.isConnected && source ? JSON.stringify(ATTRIBUTES.map((name) => this.getAttribute(name))) : undefined;
      if (wanted !== undefined && wanted === this.#running) return;
      this.#stop();
      if (wanted === undefined || !source) return;
      this.#running = wanted;
      void this.#start(source);
    });
  }

  #stop() {
    this.#close();
    this.#redraw = () => {};
    this.#resizes?.disconnect();
    this.shadowRoot?.querySelector('[part="picture"]')?.remove();
    this.#parts?.overlay.getContext("2d")?.clearRect(0, 0, this.#parts.overlay.width, this.#parts.overlay.height);
    this.#say("");
  }

  /** Ends the run: the camera's light goes out, the model's memory is free. What is shown stays. */
  #close() {
    this.#run?.abort();
    this.#run = undefined;
    this.#running = undefined;
    this.#lens = undefined;
  }

  /** @param {string} source */
  async #start(source) {
    const run = new AbortController();
    this.#run = run;
    this.#build();
    this.#say("loading");
    try {
      const opening = source === CAMERA ? this.#showCamera(run.signal) : this.#showFile(source, run.signal);
      const loading = this.#load(run.signal);
      const [picture, lens] = await Promise.all([opening, loading]);
      if (run.signal.aborted) return;
      this.#lens = lens;
      this.#say("");
      this.dispatchEvent(new CustomEvent("ready", { detail: lens }));
      await this.#analyse(lens, picture, run.signal);
    } catch (error) {
      if (run.signal.aborted) return;
      this.#close();
      this.#say(textOf(error));
      this.dispatchEvent(new CustomEvent("error", { detail: error }));
    }
  }

  /** @param {AbortSignal} signal */
  async #load(signal) {
    const names = this.getAttribute("tasks")?.split(/[\s,]+/).filter(Boolean);
    // What is not a name is refused by `load`, which says what is.
    const given = /** @type {import("./index.js").LoadOptions} */ ({
      tasks: names?.length ? names : undefined,
      detector: this.getAttribute("detector") ?? undefined,
      device: this.getAttribute("device") ?? undefined,
      weights: this.weights,
    });
    const lens = await load({ ...given, signal });
    signal.addEventListener("abort", () => lens.dispose(), { once: true });
    // It may have been aborted by what opened beside it.
    if (signal.aborted) lens.dispose();
    return lens;
  }

  /** @param {AbortSignal} signal */
  async #showCamera(signal) {
    const video = this.#place(document.createElement("video"));
    video.classList.add("mirrored");
    const camera = await openCamera({ video, signal });
    void camera.ended.then((end) => end === "lost" && this.#run?.signal === signal && this.#lose());
    return video;
  }

  #lose() {
    this.#close();
    this.#say("the camera was unplugged or taken away");
    this.dispatchEvent(new CustomEvent("lost"));
  }

  /**
   * @param {string} source
   * @param {AbortSignal} signal
   */
  async #showFile(source, signal) {
    const address = addressOf(source);
    // A page of another origin allows its pictures to be read with CORS only.
    const crossOrigin = address.origin === location.origin ? null : "anonymous";
    if (PICTURE.test(address.pathname)) return this.#place(Object.assign(new Image(), { crossOrigin, src: address.href, alt: "" }));
    const fields = { crossOrigin, muted: true, playsInline: true, preload: "auto", controls: true, src: address.href };
    const video = this.#place(Object.assign(document.createElement("video"), fields));
    signal.addEventListener("abort", () => video.pause(), { once: true });
    await new Promise((resolve, reject) => {
      video.addEventListener("loadeddata", resolve, { once: true });
      video.addEventListener("error", () => reject(unplayable(source, video.error)), { once: true });
    });
    return video;
  }

  /**
   * @param {import("./index.js").Lens} lens
   * @param {HTMLVideoElement | HTMLImageElement} picture
   * @param {AbortSignal} signal
   */
  async #analyse(lens, picture, signal) {
    if (picture instanceof HTMLImageElement) {
      const report = await lens.analyze(picture, { timeMs: 0, single: true });
      if (!signal.aborted) this.#report(picture, report);
      return;
    }
    const watching = watch(lens, picture, { onReport: (report) => this.#report(picture, report), signal });
    if (!picture.srcObject) void picture.play().catch(() => {});
    await watching.ended;
  }

  /**
   * @param {HTMLVideoElement | HTMLImageElement} picture
   * @param {import("./index.js").FrameReport} report
   */
  #report(picture, report) {
    const { overlay } = /** @type {{ overlay: HTMLCanvasElement }} */ (this.#parts);
    this.#redraw = () => draw(overlay, picture, report);
    this.#redraw();
    this.dispatchEvent(new CustomEvent("report", { detail: report }));
  }

  #build() {
    if (!this.#parts) {
      const root = this.attachShadow({ mode: "open" });
      // Not a <style>: the policy of many a page forbids it.
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
      const overlay = document.createElement("canvas");
      overlay.ariaHidden = "true";
      const status = Object.assign(document.createElement("p"), { role: "status" });
      for (const [part, element] of Object.entries({ overlay, status })) element.setAttribute("part", part);
      root.append(overlay, status);
      this.#parts = { overlay, status };
    }
    this.#resizes = new ResizeObserver(() => this.#redraw());
    this.#resizes.observe(this);
  }

  /**
   * @template {HTMLElement} Picture
   * @param {Picture} picture
   */
  #place(picture) {
    picture.setAttribute("part", "picture");
    this.shadowRoot?.prepend(picture);
    return picture;
  }

  /** @param {string} text */
  #say(text) {
    if (this.#parts) this.#parts.status.textContent = text;
  }
}

/** @param {string} source */
function addressOf(source) {
  try {
    return new URL(source, document.baseURI);
  } catch {
    throw badArgument("source", source, "`camera`, or the address of a video or picture");
  }
}

/**
 * @param {string} source
 * @param {MediaError | null} error
 */
function unplayable(source, error) {
  return new AffectLensError("picture-empty", `this browser cannot play \`${source}\`: ${error?.message || `its error has the code ${error?.code}`}`);
}

if (globalThis.customElements && !customElements.get("affect-lens")) customElements.define("affect-lens", AffectLensElement);
