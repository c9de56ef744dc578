// @ts-check
// The demo page: opens a source, hands its frames to the lens, draws the reports. It decides nothing about faces.
//
// Query: ?device=auto|webgpu|cpu  &source=camera|clip  &autostart=1
// For tests, `window.__affectlens` shows counters; it cannot change anything.

import { load } from "affectlens";
import { version } from "affectlens/package.json";
import weights from "affectlens-weights";
import noticeUrl from "affectlens-weights/NOTICE.md?url";
import clipLicenceUrl from "@media/LICENSE.txt?url";
import clipUrl from "@media/cap12_edit.webm?url";

import { FaceCards } from "./faces.js";
import { clock, megabytes, milliseconds, percent } from "./format.js";
import { ReportLog, toCsv, toJsonLines } from "./log.js";
import { drawFaces } from "./overlay.js";
import { TRAIL_MS, ValenceArousalPanel, trailOf } from "./plane.js";
import { RequestCounter } from "./requests.js";
import { SettingsForm } from "./settings.js";
import { SourceError, listCameras, openCamera, releaseVideo, showVideo } from "./source.js";
import { Stats } from "./stats.js";
import { Timeline } from "./timeline.js";
import { ActionUnitPanel } from "./units.js";
import { VIEWS } from "./views.js";
import { ViolencePanel, isViolent } from "./violence.js";
import { FrameWatch } from "./watch.js";
import "./style.css";

/**
 * @typedef {import("affectlens").Lens} Lens
 * @typedef {import("affectlens").FrameReport} FrameReport
 * @typedef {import("./log.js").KeptReport} KeptReport
 * @typedef {"nothing" | "camera" | "clip" | "still"} Showing
 */

/** @type {import("affectlens").Task[]} */
const TASKS = ["expression", "valence-arousal", "action-units", "violence"];
/** A screen reader is told at most this often. */
const SPOKEN_EVERY_MS = 4000;
const IS_CALM = matchMedia("(prefers-reduced-motion: reduce)").matches;
/** The chart and the figures need not follow every frame. */
const REDRAW_EVERY_MS = IS_CALM ? 1000 : 250;
/** A report this near stands for the moment a clip is paused at. */
const NEAR_MS = 60;

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
const at = (id) => /** @type {T} */ (document.getElementById(id));

const video = /** @type {HTMLVideoElement} */ (at("video"));
const still = /** @type {HTMLImageElement} */ (at("still"));
const overlay = /** @type {HTMLCanvasElement} */ (at("overlay"));
const stage = at("stage");
const scrub = /** @type {HTMLInputElement} */ (at("scrub"));
const deviceChoice = /** @type {HTMLSelectElement} */ (at("device"));
const cameraChoice = /** @type {HTMLSelectElement} */ (at("camera"));
const meshChoice = /** @type {HTMLInputElement} */ (at("show-mesh"));
const viewChoice = at("timeline-view");
const query = new URLSearchParams(location.search);

/** @type {Lens | undefined} */
let lens;
/** @type {AbortController | undefined} */
let loading;
/** @type {Showing} */
let showing = "nothing";
/** @type {ImageBitmap | undefined} */
let stillPicture;
/** @type {"none" | "once" | "again"} */
let stillLook = "none";
/** Counts sources and jumps: a report that was asked for before one is not drawn after it. */
let era = 0;
let stats = new Stats();
/** Of the source whose reports are in the log. */
let sourceName = "";
let log = new ReportLog();
/** @type {FrameReport | KeptReport | undefined} */
let latest;
let lastTimeMs = -Infinity;
/** What is wrong, for tests; the user reads the notice. */
let trouble = "";
/** The sample clip, fetched once with the page so that playing it is no request. @type {Promise<Blob> | undefined} */
let clip;

const requests = new RequestCounter(showNumbers);
const cards = new FaceCards(at("faces"), () => redraw());
const plane = new ValenceArousalPanel(at("plane"));
const units = new ActionUnitPanel(at("units"));
const violence = new ViolencePanel(at("violence"));
const timeline = new Timeline(at("timeline"), chosenView(), seek);
const settings = new SettingsForm(/** @type {HTMLFormElement} */ (at("settings")), configure);
const watch = new FrameWatch(video, {
  look: async (timeMs) => {
    if (lens) await look(lens, video, timeMs);
  },
  onDrop: (count) => {
    // Frames that pass while the model is still loading are not dropped: nobody is looking yet.
    if (lens) stats.dropped += count;
  },
});

// ---- the model

async function loadLens() {
  loading?.abort();
  lens?.dispose();
  lens = undefined;
  requests.stop();
  const attempt = new AbortController();
  loading = attempt;
  showBadge("loading", "loading");
  at("fallback").hidden = true;
  at("loading").hidden = false;
  try {
    const device = /** @type {"auto" | "webgpu" | "cpu"} */ (deviceChoice.value);
    clip ??= fetch(clipUrl).then((response) => response.blob());
    const [loaded] = await Promise.all([
      load({ tasks: TASKS, weights, device, signal: attempt.signal, onProgress: showProgress }),
      clip,
    ]);
    if (attempt !== loading) return loaded.dispose();
    lens = loaded;
    requests.start();
    settings.show(loaded.settings);
    showDevice(loaded);
    clearTrouble("model");
    begin();
  } catch (error) {
    if (attempt !== loading) return;
    showBadge("none", "not loaded");
    report("model", `The model cannot be loaded: ${textOf(error)}`);
  } finally {
    if (attempt === loading) at("loading").hidden = true;
    showNumbers();
  }
}

/** @param {Lens} loaded */
function showDevice({ device: { kind, adapter, fallback } }) {
  showBadge(kind, kind === "cpu" ? "CPU" : `WebGPU · ${adapter}`);
  at("fallback").textContent = fallback ? `Not on WebGPU: ${fallback}.` : "";
  at("fallback").hidden = !fallback;
}

/**
 * @param {string} kind
 * @param {string} text
 */
function showBadge(kind, text) {
  at("badge").dataset.kind = kind;
  at("badge").textContent = text;
}

/** @param {import("affectlens").Progress} progress */
function showProgress({ stage: step, loadedBytes = 0, totalBytes = 0, cached }) {
  const bar = /** @type {HTMLProgressElement} */ (at("progress"));
  const texts = {
    weights: totalBytes > 0 && !cached ? `Loading the model: ${megabytes(loadedBytes)} of ${megabytes(totalBytes)} MB` : "Loading the model",
    device: "Preparing the networks",
    "warm-up": "Warming up",
  };
  at("progress-text").textContent = texts[step];
  if (step === "weights" && totalBytes > 0 && loadedBytes < totalBytes) {
    bar.max = totalBytes;
    bar.value = loadedBytes;
  } else {
    bar.removeAttribute("value");
  }
}

/** @param {Partial<import("affectlens").Settings>} [changed] */
async function configure(changed) {
  try {
    await lens?.configure({ ...changed, landmarks: meshChoice.checked });
  } catch (error) {
    return report("model", textOf(error));
  }
  if (showing === "still") await lookAtStill();
}

async function showMesh() {
  drawLatest();
  await configure();
  if (!lens || !meshChoice.checked || showing !== "clip" || !(video.paused || video.ended)) return;
  // Nothing comes by itself while a clip stands still: its frame is looked at once more, as after a jump.
  const timeMs = latest?.time_ms ?? video.currentTime * 1000;
  forgetStream();
  await look(lens, video, timeMs);
}

// ---- sources

/** @param {string} [deviceId] */
async function useCamera(deviceId) {
  await open("camera", "camera", async () => {
    const stream = await openCamera(deviceId);
    await showVideo(video, stream, "the camera");
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => {
      if (video.srcObject !== stream) return;
      stop();
      report("source", "The camera was unplugged or taken away.", "gone");
    });
    await showCameras(track.getSettings().deviceId);
  });
}

async function useClip() {
  await open("clip", "cap12_edit.webm", async () => {
    clip ??= fetch(clipUrl).then((response) => response.blob());
    await showVideo(video, URL.createObjectURL(await clip), "the sample clip");
  });
}

/** @param {File} file */
async function useFile(file) {
  const isPicture = file.type.startsWith("image/");
  await open(isPicture ? "still" : "clip", file.name, async () => {
    const url = URL.createObjectURL(file);
    if (!isPicture) return showVideo(video, url, file.name);
    still.src = url;
    try {
      stillPicture = await createImageBitmap(file);
    } catch (cause) {
      throw new SourceError("unreadable", `This browser cannot read ${file.name}.`, { cause });
    }
  });
}

/**
 * @param {Showing} kind
 * @param {string} name
 * @param {() => Promise<void>} show
 */
async function open(kind, name, show) {
  stop();
  const mine = era;
  clearTrouble("source");
  try {
    await show();
  } catch (error) {
    if (mine !== era) return;
    stop();
    return report("source", textOf(error), error instanceof SourceError ? error.state : "none");
  }
  if (mine !== era) {
    // Another source was chosen while this one opened; it has released the element already.
    return;
  }
  [stats, log, sourceName] = [new Stats(), new ReportLog(), name];
  setShowing(kind);
  begin();
}

/** Starts looking, once there is both something to look at and a model. */
function begin() {
  if (showing === "nothing") return;
  if (showing === "still") return void lookAtStill();
  if (document.hidden) return;
  // A clip waits for the model; a camera shows that it is on.
  if (showing === "clip" && !lens) return;
  watch.start();
  void video.play();
}

function stop() {
  era += 1;
  watch.stop();
  watch.rewind();
  releaseVideo(video);
  if (still.src) URL.revokeObjectURL(still.src);
  still.removeAttribute("src");
  stillPicture?.close();
  stillPicture = undefined;
  forgetStream();
  setShowing("nothing");
}

/** @param {Showing} kind */
function setShowing(kind) {
  showing = kind;
  stage.dataset.showing = kind;
  at("intro").hidden = kind !== "nothing";
  still.hidden = kind !== "still";
  at("transport").hidden = kind !== "clip";
  at("camera-choice").hidden = kind !== "camera" || cameraChoice.options.length < 2;
  /** @type {HTMLButtonElement} */ (at("stop")).disabled = kind === "nothing";
  const size = kind === "still" ? stillPicture : undefined;
  const [width, height] = size ? [size.width, size.height] : [video.videoWidth, video.videoHeight];
  stage.style.setProperty("--ratio", kind === "nothing" || !width ? "4 / 3" : `${width} / ${height}`);
  if (kind === "clip") scrub.max = String(video.duration || 1);
  redraw();
}

/** @param {string | undefined} current */
async function showCameras(current) {
  const cameras = await listCameras();
  cameraChoice.replaceChildren(
    ...cameras.map(({ deviceId, label }, index) => new Option(label || `Camera ${index + 1}`, deviceId, false, deviceId === current)),
  );
}

// ---- looking

/**
 * @param {Lens} by
 * @param {HTMLVideoElement | ImageBitmap} picture
 * @param {number} timeMs
 */
async function look(by, picture, timeMs) {
  const mine = era;
  const asked = performance.now();
  try {
    const found = await by.analyze(picture, { timeMs });
    if (mine !== era) return;
    const now = performance.now();
    stats.add(now - asked, now, found.faces.length > 0);
    log.add(found, lastTimeMs < timeMs ? Math.max(lastTimeMs, timeMs - 1000) : timeMs);
    lastTimeMs = timeMs;
    // After a failure the lens may have started anew, on another device.
    if (clearTrouble("look")) showDevice(by);
    showReport(found);
  } catch (error) {
    const code = /** @type {{ code?: string }} */ (error).code;
    if (mine !== era || code === "disposed") return;
    stats.failed += 1;
    report("look", `A frame could not be analysed: ${textOf(error)}`);
  }
}

/** Looks at the still picture; a call during a look makes it look once more, however many there are. */
async function lookAtStill() {
  if (stillLook !== "none") {
    stillLook = "again";
    return;
  }
  do {
    stillLook = "once";
    if (lens && stillPicture) {
      forgetStream();
      log = new ReportLog();
      await look(lens, stillPicture, 0);
    }
    // Another call may have changed it meanwhile.
  } while (/** @type {string} */ (stillLook) === "again");
  stillLook = "none";
}

/** After a jump in time nothing of before may be smoothed into what comes. */
function forgetStream() {
  era += 1;
  lastTimeMs = -Infinity;
  latest = undefined;
  lens?.reset().catch(() => {});
}

/** @param {FrameReport | KeptReport} found */
function showReport(found) {
  latest = found;
  cards.show(found.faces);
  at("no-faces").hidden = found.faces.length > 0;
  drawLatest();
  if (!IS_CALM) showPanels();
}

/** The panels of the chosen face and of the whole picture. */
function showPanels() {
  const { faces, time_ms } = latest ?? { faces: [], time_ms: 0 };
  plane.show(faces, cards.chosen, trailOf(log.between(time_ms - TRAIL_MS, time_ms), cards.chosen, time_ms));
  units.show(faces.find(({ id }) => id === cards.chosen));
  const circumstances = { facts: lens?.violence ?? null, threshold: settings.violenceThreshold, isStill: showing === "still" };
  violence.show(latest?.violence, circumstances);
}

function drawLatest() {
  const size = stillPicture ?? { width: video.videoWidth || 4, height: video.videoHeight || 3 };
  const picture = { width: size.width, height: size.height, isMirrored: showing === "camera", hasMesh: meshChoice.checked };
  drawFaces(overlay, picture, latest?.faces ?? [], cards.chosen);
}

/** Draws all that does not follow every frame. */
function redraw() {
  if (!latest) cards.clear();
  at("no-faces").hidden = Boolean(latest?.faces.length);
  drawLatest();
  showPanels();
  const clipTimes = showing === "clip" ? { durationSeconds: video.duration || 1, positionSeconds: video.currentTime } : {};
  const view = chosenView();
  const threshold = settings.violenceThreshold;
  timeline.show(log.reports, view, { face: cards.chosen, threshold, ...clipTimes });
  at("timeline-says").textContent = view.scene?.says(log.reports, threshold) ?? "";
  for (const id of ["timeline-says", "timeline-key"]) at(id).hidden = !view.scene;
  const ofFace = cards.chosen === undefined ? "" : `of face ${cards.chosen}`;
  for (const title of document.querySelectorAll(".of-face")) title.textContent = ofFace;
  at("timeline-of").textContent = view.scene ? "of the whole picture" : ofFace;
  if (showing === "clip") {
    scrub.value = String(video.currentTime);
    at("clock").textContent = `${clock(video.currentTime)} / ${clock(video.duration || 0)}`;
    scrub.setAttribute("aria-valuetext", `${clock(video.currentTime)} of ${clock(video.duration || 0)}`);
    const isPlaying = !video.paused && !video.ended;
    at("play").textContent = isPlaying ? "Pause" : "Play";
    at("play").setAttribute("aria-pressed", String(isPlaying));
  }
  showNumbers();
}

function showNumbers() {
  const pageRequests = requests.count;
  const all = pageRequests === undefined ? undefined : pageRequests + (lens?.requestsAfterLoad ?? 0);
  at("n-requests").textContent = all === undefined ? "–" : String(all);
  at("n-requests").dataset.state = all === undefined ? "unknown" : all === 0 ? "none" : "some";
  at("n-p50").textContent = milliseconds(stats.latency(0.5));
  at("n-p95").textContent = milliseconds(stats.latency(0.95));
  at("n-analysed").textContent = String(stats.analysed);
  at("n-fps").textContent = stats.rate?.toFixed(1) ?? "–";
  at("n-dropped").textContent = String(stats.dropped);
  at("n-load").textContent = milliseconds(lens?.timings.loadMs);
  at("n-first").textContent = milliseconds(lens?.timings.firstResultMs ?? undefined);
  const count = log.reports.length;
  for (const id of ["save-json", "save-csv"]) /** @type {HTMLButtonElement} */ (at(id)).disabled = count === 0;
  const forgotten = log.forgotten > 0 ? `, the oldest ${log.forgotten} were let go` : "";
  at("kept").textContent = count === 0 ? "No reports to save yet." : `${count} reports kept in this tab${forgotten}.`;
}

function speak() {
  const said = latest?.faces.map(({ id, expression }) =>
    expression ? `Face ${id}: ${expression.label}, ${percent(expression.confidence)}` : `Face ${id}`,
  );
  const probability = latest?.violence?.probability;
  // Its number would be told anew every few seconds; what it is called changes seldom.
  const isCalled = probability !== undefined && isViolent(probability, settings.violenceThreshold);
  const text = showing === "nothing" ? "" : [said?.join(". ") || "No face", ...(isCalled ? ["Called violent"] : [])].join(". ");
  if (at("spoken").textContent !== text) at("spoken").textContent = text;
}

/** What the timeline is asked to show. */
function chosenView() {
  const chosen = /** @type {HTMLInputElement} */ (viewChoice.querySelector(":checked"));
  return VIEWS[/** @type {import("./views.js").ViewName} */ (chosen.value)];
}

/** @param {number} seconds */
function seek(seconds) {
  if (showing === "clip") video.currentTime = Math.min(Math.max(0, seconds), video.duration);
}

// ---- trouble

/** @type {Map<string, { message: string, state: string }>} */
const troubles = new Map();

/**
 * @param {"model" | "source" | "look"} about
 * @param {string} message
 * @param {string} [state]
 */
function report(about, message, state = about) {
  troubles.set(about, { message, state });
  showTroubles();
}

/** @param {"model" | "source" | "look"} about */
function clearTrouble(about) {
  const wasThere = troubles.delete(about);
  if (wasThere) showTroubles();
  return wasThere;
}

function showTroubles() {
  const all = [...troubles.values()];
  trouble = all[0]?.state ?? "";
  at("notice").textContent = all.map(({ message }) => message).join(" ");
  at("notice").hidden = all.length === 0;
}

// ---- small words

/** @param {unknown} error */
function textOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * @param {string} name
 * @param {string} type
 * @param {string} text
 */
function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

// ---- wiring

at("use-camera").addEventListener("click", () => useCamera());
at("use-clip").addEventListener("click", () => useClip());
at("use-file").addEventListener("click", () => at("file").click());
at("stop").addEventListener("click", stop);
at("save-json").addEventListener("click", () => save("affectlens.jsonl", "application/jsonl", toJsonLines(log.reports, settings.violenceThreshold)));
at("save-csv").addEventListener("click", () => save("affectlens.csv", "text/csv", toCsv(log.reports, sourceName, settings.violenceThreshold)));
meshChoice.addEventListener("change", showMesh);
viewChoice.addEventListener("change", redraw);
cameraChoice.addEventListener("change", () => useCamera(cameraChoice.value));
deviceChoice.addEventListener("change", () => {
  forgetStream();
  void loadLens();
});
const file = /** @type {HTMLInputElement} */ (at("file"));
file.addEventListener("change", () => {
  if (file.files?.[0]) void useFile(file.files[0]);
  file.value = "";
});

at("play").addEventListener("click", () => (video.paused || video.ended ? video.play() : video.pause()));
scrub.addEventListener("input", () => seek(Number(scrub.value)));
video.addEventListener("seeking", () => {
  if (showing !== "clip") return;
  forgetStream();
  const known = log.nearest(video.currentTime * 1000, NEAR_MS);
  if (known) showReport(known);
});
for (const event of ["play", "pause", "ended", "seeked"]) video.addEventListener(event, redraw);
new ResizeObserver(drawLatest).observe(stage);

document.addEventListener("visibilitychange", () => {
  if (showing !== "camera" && showing !== "clip") return;
  if (document.hidden) {
    watch.stop();
    if (showing === "clip") video.pause();
  } else {
    begin();
  }
});
navigator.mediaDevices?.addEventListener("devicechange", () => {
  const { srcObject } = video;
  if (srcObject instanceof MediaStream) void showCameras(srcObject.getVideoTracks()[0]?.getSettings().deviceId);
});

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  at("drop-hint").hidden = false;
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) at("drop-hint").hidden = true;
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop-hint").hidden = true;
  const dropped = event.dataTransfer?.files[0];
  if (dropped) void useFile(dropped);
});
addEventListener("pagehide", () => {
  stop();
  lens?.dispose();
});

setInterval(redraw, REDRAW_EVERY_MS);
setInterval(speak, SPOKEN_EVERY_MS);

Object.defineProperty(window, "__affectlens", {
  value: Object.freeze({
    get counters() {
      const { analysed, withFace, dropped, failed } = stats;
      return {
        analysed,
        withFace,
        dropped,
        failed,
        isLoaded: lens !== undefined,
        isWatching: watch.isRunning,
        showing,
        trouble,
        device: lens?.device,
        violence: lens?.violence,
        timings: lens?.timings,
        latencyMs: { p50: stats.latency(0.5), p95: stats.latency(0.95) },
        requests: requests.count === undefined || !lens ? undefined : requests.count + lens.requestsAfterLoad,
        latest,
      };
    },
  }),
});

at("version").textContent = version;
/** @type {HTMLAnchorElement} */ (at("clip-licence")).href = clipLicenceUrl;
/** @type {HTMLAnchorElement} */ (at("weights-notice")).href = noticeUrl;
deviceChoice.value = query.get("device") ?? "auto";
if (deviceChoice.selectedIndex < 0) deviceChoice.value = "auto";
setShowing("nothing");
void loadLens();
if (query.get("autostart") === "1") void (query.get("source") === "clip" ? useClip() : useCamera());
