// @ts-check
// Takes the sound of a stream or a playing element, 16,000 samples a second, without changing what is heard of it.

import { carriedEngine } from "./engine.js";
import { AffectLensError, textOf } from "./errors.js";
import { leftBehind, whereItLies } from "./moved.js";
import { RATE } from "./resampler.js";
import { within } from "./time-limit.js";

/**
 * @typedef {(samples: Float32Array<ArrayBuffer>, ageMs: number) => void} OnBlock `ageMs`: since the last sample was heard
 * @typedef {{ stop: () => void }} Capture
 * @typedef {{ context: AudioContext, node: AudioNode, recorder: AudioWorkletNode }} Wiring
 */

/** How long metadata, and a browser that has not allowed sound yet, are waited for. */
const PATIENCE_MS = 5_000;
const WORKLET_MS = 30_000;
/** No block of sound waits longer for its page. */
const OLDEST_MS = 60_000;
/** Value of `readyState`. */
const HAVE_METADATA = 1;
/** Nothing is played by this context, so it needs no loudspeaker. Browsers that do not know `sinkId` pass over it. */
const EXACT = /** @type {AudioContextOptions} */ ({ sampleRate: RATE, sinkId: { type: "none" } });

/**
 * Elements whose sound has been led through a context: it can be done once in an element's life, and the element is mute
 * when that context is closed.
 *
 * @type {WeakMap<HTMLMediaElement, { context: AudioContext, node: MediaElementAudioSourceNode }>}
 */
const led = new WeakMap();

/**
 * @param {MediaStream} stream
 * @param {string | undefined} workletUrl
 * @param {OnBlock} onBlock
 * @param {() => void} onLost called when no track of it is live any more
 * @returns {Promise<Capture>}
 */
export async function captureStream(stream, workletUrl, onBlock, onLost) {
  const isLive = () => stream.getAudioTracks().some(({ readyState }) => readyState === "live");
  if (!isLive()) {
    const hint = stream.getAudioTracks().length > 0 ? "its audio track has ended" : "get one with `getUserMedia({ audio: true })`";
    throw empty(`the stream has no sound: ${hint}`);
  }
  const wiring = await wireStream(stream, workletUrl, onBlock);
  const watched = new AbortController();
  for (const track of stream.getAudioTracks()) {
    track.addEventListener("ended", () => !isLive() && onLost(), { signal: watched.signal });
  }
  // It may have ended while the context was opened.
  if (!isLive()) onLost();
  return {
    stop: () => {
      watched.abort();
      unwire(wiring);
      void wiring.context.close();
    },
  };
}

/**
 * The sound of what an element plays; it is still heard from the element.
 *
 * @param {HTMLMediaElement} element
 * @param {string | undefined} workletUrl
 * @param {OnBlock} onBlock
 * @param {() => void} onLost
 * @returns {Promise<Capture>}
 */
export async function captureElement(element, workletUrl, onBlock, onLost) {
  await metadataOf(element);
  const { srcObject } = element;
  if (srcObject && "getAudioTracks" in srcObject) return captureStream(srcObject, workletUrl, onBlock, onLost);
  refuseTainted(element);
  if ("captureStream" in element) return captureCopy(element, workletUrl, onBlock);
  return captureLed(element, workletUrl, onBlock);
}

/**
 * From a copy of the sound, which the browser makes before it is played: a muted element is heard too.
 *
 * @param {HTMLMediaElement} element
 * @param {string | undefined} workletUrl
 * @param {OnBlock} onBlock
 * @returns {Promise<Capture>}
 */
async function captureCopy(element, workletUrl, onBlock) {
  /** @type {MediaStream} */
  const copy = /** @type {any} */ (element).captureStream();
  if (copy.getAudioTracks().length === 0) throw empty("the element plays something without sound");
  const wiring = await wireStream(copy, workletUrl, onBlock);
  let heard = newest(copy);
  // With another `src`, or when it plays once more, the copy has another track, beside the one that has ended.
  const rewire = () => {
    const track = newest(copy);
    if (!track || track === heard) return;
    heard = track;
    wiring.node.disconnect();
    wiring.node = wiring.context.createMediaStreamSource(new MediaStream([track]));
    wiring.node.connect(wiring.recorder);
  };
  copy.addEventListener("addtrack", rewire);
  element.addEventListener("playing", rewire);
  return {
    stop: () => {
      copy.removeEventListener("addtrack", rewire);
      element.removeEventListener("playing", rewire);
      unwire(wiring);
      for (const track of copy.getTracks()) track.stop();
      void wiring.context.close();
    },
  };
}

/**
 * The last track of a stream that is not over.
 *
 * @param {MediaStream} stream
 */
function newest(stream) {
  return stream.getAudioTracks().findLast(({ readyState }) => readyState === "live");
}

/**
 * The browser makes no copy: the sound goes through a context of the loudspeaker's own rate, and on to the loudspeaker.
 *
 * @param {HTMLMediaElement} element
 * @param {string | undefined} workletUrl
 * @param {OnBlock} onBlock
 * @returns {Promise<Capture>}
 */
async function captureLed(element, workletUrl, onBlock) {
  const { mozHasAudio, audioTracks } = /** @type {{ mozHasAudio?: boolean, audioTracks?: { length: number } }} */ (element);
  if (mozHasAudio === false || audioTracks?.length === 0) throw empty("the element plays something without sound");
  let way = led.get(element);
  const context = way?.context ?? (await openContext({}, workletUrl));
  if (!way) {
    try {
      // Before the sound leads through it: the element would be mute.
      await run(context);
      way = { context, node: context.createMediaElementSource(element) };
    } catch (cause) {
      void context.close();
      if (cause instanceof AffectLensError) throw cause;
      const hint = "the page itself leads its sound through Web Audio; listen to a stream from there (`createMediaStreamDestination`)";
      throw new AffectLensError("bad-argument", `the element's sound cannot be taken: ${hint}`, { cause });
    }
    led.set(element, way);
    way.node.connect(context.destination);
  }
  const { node } = way;
  await run(context);
  const recorder = record(context, onBlock);
  node.connect(recorder);
  return {
    stop: () => {
      recorder.port.onmessage = null;
      recorder.port.postMessage("stop");
      // Only from the recorder: the way to the loudspeaker stays.
      node.disconnect(recorder);
      recorder.disconnect();
    },
  };
}

/**
 * Where a browser connects no stream to a context of another rate than its own, the worklet resamples.
 *
 * @param {MediaStream} stream
 * @param {string | undefined} workletUrl
 * @param {OnBlock} onBlock
 * @returns {Promise<Wiring>}
 */
async function wireStream(stream, workletUrl, onBlock) {
  try {
    return await wire(stream, EXACT, workletUrl, onBlock);
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "NotSupportedError")) throw error;
    return wire(stream, {}, workletUrl, onBlock);
  }
}

/**
 * @param {MediaStream} stream
 * @param {AudioContextOptions} options
 * @param {string | undefined} workletUrl
 * @param {OnBlock} onBlock
 * @returns {Promise<Wiring>}
 */
async function wire(stream, options, workletUrl, onBlock) {
  const context = await openContext(options, workletUrl);
  try {
    const node = context.createMediaStreamSource(stream);
    const recorder = record(context, onBlock);
    node.connect(recorder);
    await run(context);
    return { context, node, recorder };
  } catch (error) {
    void context.close();
    throw error;
  }
}

/** @param {Wiring} wiring */
function unwire({ node, recorder }) {
  recorder.port.onmessage = null;
  recorder.port.postMessage("stop");
  node.disconnect();
  recorder.disconnect();
}

/**
 * @param {AudioContext} context
 * @param {OnBlock} onBlock
 */
function record(context, onBlock) {
  const recorder = new AudioWorkletNode(context, "affectlens-listen", { outputChannelCount: [1] });
  recorder.port.onmessage = ({ data: { samples, filledMs } }) => {
    // The time of day may be set meanwhile.
    const ageMs = Date.now() - filledMs;
    onBlock(samples, ageMs >= 0 && ageMs < OLDEST_MS ? ageMs : 0);
  };
  // It is silent; browsers run only what leads somewhere.
  recorder.connect(context.destination);
  return recorder;
}

/**
 * @param {AudioContextOptions} options
 * @param {string | undefined} workletUrl
 */
async function openContext(options, workletUrl) {
  const context = new AudioContext(options);
  let address;
  try {
    if (!context.audioWorklet) throw new AffectLensError("insecure-context", "sound is captured on secure pages only (https or localhost)");
    address = workletUrl ?? (await findWorklet());
    await within(WORKLET_MS, context.audioWorklet.addModule(address), () => new Error(`nothing came within ${WORKLET_MS / 1000} s`));
    return context;
  } catch (cause) {
    void context.close();
    if (cause instanceof AffectLensError) throw cause;
    const hint = workletUrl === undefined ? hintFor(address) : "`workletUrl` gives another address";
    const message = `the module that captures sound does not load from ${address ?? import.meta.url}: ${textOf(cause)}; ${hint}`;
    throw new AffectLensError("module-failed", message, { cause });
  } finally {
    if (address?.startsWith("blob:")) URL.revokeObjectURL(address);
  }
}

/** @param {string} [address] */
function hintFor(address) {
  if (!address?.startsWith("blob:")) return leftBehind("workletUrl", address);
  const policy = "where the page has a Content-Security-Policy, `affectlens/inline` needs `blob:` in its `script-src` to hear";
  return `${policy}, or in \`workletUrl\` the address of a copy of listen-worklet.js`;
}

async function findWorklet() {
  const engine = await carriedEngine();
  if (engine) return URL.createObjectURL(new Blob([engine.listenWorklet], { type: "text/javascript" }));
  // Bundlers find the file by this very expression.
  return whereItLies(new URL("./listen-worklet.js", import.meta.url));
}

/** @param {AudioContext} context */
async function run(context) {
  const message = "the browser starts no sound: call `listen` when the visitor clicks or presses a key; some need a loudspeaker too";
  await within(PATIENCE_MS, context.resume(), () => new AffectLensError("sound-blocked", message));
  // A phone call, say, stops it.
  context.onstatechange = () => {
    if (context.state !== "running" && context.state !== "closed") void context.resume().catch(() => {});
  };
}

/** @param {HTMLMediaElement} element */
async function metadataOf(element) {
  if (element.readyState >= HAVE_METADATA) return;
  const ended = new AbortController();
  const came = await new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), PATIENCE_MS);
    for (const event of ["loadedmetadata", "error"]) {
      const meet = () => {
        clearTimeout(timer);
        resolve(event === "loadedmetadata");
      };
      element.addEventListener(event, meet, { signal: ended.signal });
    }
  });
  ended.abort();
  if (came) return;
  const reason = element.error?.message || `nothing came within ${PATIENCE_MS / 1000} s: wait for its event "loadedmetadata"`;
  throw empty(`the element has nothing to play: ${reason}`);
}

/** Sound of another origin would be silence. @param {HTMLMediaElement} element */
function refuseTainted(element) {
  const { protocol, origin } = new URL(element.currentSrc || location.href, document.baseURI);
  if (element.crossOrigin !== null || !/^https?:$/.test(protocol) || origin === location.origin) return;
  const hint = 'give its element `crossorigin="anonymous"`, and have its server answer with Access-Control-Allow-Origin';
  throw new AffectLensError("sound-tainted", `the sound comes from another origin without CORS, so it cannot be heard: ${hint}`);
}

/** @param {string} message */
function empty(message) {
  return new AffectLensError("sound-empty", message);
}
