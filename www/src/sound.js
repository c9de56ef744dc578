// @ts-check
// What is heard beside the picture: the microphone beside the camera, a clip's own sound beside the clip.

import { openMicrophone } from "affectlens/microphone";

import { byId, setText } from "./elements.js";
import { SourceError, explainDevice } from "./media.js";
import { messageOf } from "./notices.js";

/**
 * @typedef {import("affectlens").Lens} Lens
 * @typedef {import("affectlens").Listening} Listening
 * @typedef {import("./sources.js").Showing} Showing
 * @typedef {"off" | "waiting" | "opening" | "on" | "silent"} SoundState `waiting`: for a source or the model; `silent`: the clip
 *   has no sound
 */

/** Quieter than this, decibels, shows as nothing. */
const QUIETEST_DB = -60;
/** What the meter keeps of a loud moment until the next 32 ms. */
const KEPT = 0.85;

/** The switch that listens, and the meter beside it. */
export class Sound {
  #switch = byId("listen", HTMLInputElement);
  #what = byId("listen-what");
  #says = byId("listen-says");
  #meter = byId("level", HTMLMeterElement);
  #model;
  #sources;
  #notices;
  #listeners;
  /** @type {SoundState} */
  #state = "off";
  /** @type {Listening | undefined} */
  #listening;
  /** The microphone, while it is heard. @type {MediaStream | undefined} */
  #stream;
  /** What is heard, or opens: once it is aborted it ends, or is dropped. */
  #opening = new AbortController();

  /**
   * @param {import("./model.js").Model} model
   * @param {import("./sources.js").Sources} sources
   * @param {import("./notices.js").Notices} notices
   * @param {{ onFetch: <T>(fetching: Promise<T>) => Promise<T>, onChange: () => void }} listeners `onFetch`: the module that
   *   captures sound is fetched on purpose
   */
  constructor(model, sources, notices, listeners) {
    this.#model = model;
    this.#sources = sources;
    this.#notices = notices;
    this.#listeners = listeners;
    this.#switch.addEventListener("change", () => this.follow());
    document.addEventListener("visibilitychange", () => this.#muteWhileHidden());
  }

  /** Whether the visitor wants to listen. */
  get isWanted() {
    return this.#switch.checked;
  }

  get isOn() {
    return this.#state === "on";
  }

  /** What tests read. */
  get counters() {
    const { level = 0, droppedMs = 0 } = this.#listening ?? {};
    return { state: this.#state, level, droppedMs };
  }

  /** Follows the switch, the source and the model: each may be another one now. */
  follow() {
    this.#close();
    this.#notices.clear("sound");
    const { showing } = this.#sources;
    const { lens } = this.#model;
    if (!this.#switch.checked) return this.#show("off");
    if (!lens || (showing !== "camera" && showing !== "clip")) return this.#show("waiting");
    void this.#open(lens, showing);
  }

  /**
   * @param {Lens} lens
   * @param {"camera" | "clip"} showing
   */
  async #open(lens, showing) {
    this.#opening = new AbortController();
    const { signal } = this.#opening;
    this.#show("opening");
    try {
      const listening = await (showing === "camera" ? this.#hearMicrophone(lens, signal) : this.#hearClip(lens, signal));
      if (signal.aborted) return;
      this.#listening = listening;
      this.#show("on");
      void this.#watch(listening, signal);
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  /**
   * @param {Lens} lens
   * @param {AbortSignal} signal
   */
  async #hearMicrophone(lens, signal) {
    const stream = await openMicrophone({ signal });
    this.#stream = stream;
    this.#muteWhileHidden();
    return this.#listeners.onFetch(lens.listen(stream, { own: true, onLevel: (level) => this.#showLevel(level), signal }));
  }

  /**
   * @param {Lens} lens
   * @param {AbortSignal} signal
   */
  async #hearClip(lens, signal) {
    const { video } = this.#sources;
    const listening = await this.#listeners.onFetch(lens.listen(video, { onLevel: (level) => this.#showLevel(level), signal }));
    // Whoever wants it heard hears it too.
    if (!signal.aborted) video.muted = false;
    return listening;
  }

  /**
   * @param {Listening} listening
   * @param {AbortSignal} signal
   */
  async #watch(listening, signal) {
    try {
      const end = await listening.ended;
      if (signal.aborted || end !== "lost") return;
      throw new SourceError("gone", "The microphone was unplugged or taken away.");
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  /** @param {unknown} cause */
  #fail(cause) {
    this.#close();
    const error = explainDevice(cause);
    const { code } = /** @type {{ code?: string }} */ (error);
    // The model is loaded anew: it is followed again.
    if (code === "disposed") return this.#show("waiting");
    if (code === "sound-empty") return this.#show("silent");
    this.#switch.checked = false;
    this.#show("off");
    this.#notices.report("sound", messageOf(error), error instanceof SourceError ? error.state : "sound");
  }

  #close() {
    this.#opening.abort();
    this.#listening = undefined;
    // It may have been opened and not be heard yet.
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = undefined;
    this.#sources.video.muted = true;
    this.#meter.value = 0;
  }

  /** A page that nobody sees hears nothing. */
  #muteWhileHidden() {
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = !document.hidden;
  }

  /** @param {number} level */
  #showLevel(level) {
    this.#meter.value = Math.max(meterOf(level), KEPT * this.#meter.value);
  }

  /** @param {SoundState} state */
  #show(state) {
    this.#state = state;
    const { showing } = this.#sources;
    setText(this.#what, showing === "clip" ? "Listen to the clip" : "Listen to the microphone");
    setText(this.#says, describeSound(state, showing));
    this.#meter.hidden = state !== "on";
    this.#listeners.onChange();
  }
}

/**
 * @param {SoundState} state
 * @param {Showing} showing
 */
export function describeSound(state, showing) {
  switch (state) {
    case "off":
      return showing === "clip" ? "plays its sound, and tells whether somebody speaks" : "tells whether somebody speaks; no sound leaves this tab";
    case "waiting":
      if (showing === "still") return "a picture has no sound";
      if (showing === "scene") return "this sample has no sound";
      return showing === "nothing" ? "waits for the camera or a clip" : "waits for the model";
    case "opening":
      return showing === "camera" ? "allow the microphone where the browser asks" : "opening";
    case "on":
      return showing === "camera" ? "the microphone is on" : "the clip is heard";
    case "silent":
      return showing === "clip" ? "this clip has no sound" : "the microphone gives no sound";
  }
}

/**
 * How far the meter goes: loudness is heard by ratios.
 *
 * @param {number} level of the loudest sample, 0 to 1
 */
export function meterOf(level) {
  const decibels = 20 * Math.log10(level);
  return Math.min(1, Math.max(0, 1 - decibels / QUIETEST_DB));
}
