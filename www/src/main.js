// @ts-check
// The demo page: opens a source, hands its frames to the lens, draws the reports. It decides nothing about affect.
//
// Query: see `choices.js` and `address.js`.

import { version } from "affectlens/package.json";
import noticeUrl from "affectlens-weights/NOTICE.md?url";
import clipLicenceUrl from "@media/LICENSE.txt?url";

import { Choices } from "./choices.js";
import { exposeCounters } from "./counters.js";
import { DevicePanel } from "./device.js";
import { byId, setText } from "./elements.js";
import { acceptFiles } from "./files.js";
import { offerFullScreen } from "./full-screen.js";
import { showLinks } from "./links.js";
import { MachinePanel } from "./machine.js";
import { MarkedPanel } from "./marked.js";
import { Model, tasksOf } from "./model.js";
import { NeutralLook } from "./neutral.js";
import { Notices, describeAloud } from "./notices.js";
import { NumbersPanel } from "./numbers.js";
import { OwnFace } from "./own-face.js";
import { REDRAW_EVERY_MS, Readings } from "./readings.js";
import { RequestCounter } from "./requests.js";
import { SampleFiles, paintingUrl } from "./samples.js";
import { SavePanel } from "./save.js";
import { Session } from "./session.js";
import { SettingsForm } from "./settings.js";
import { SharePanel } from "./share.js";
import { Sound } from "./sound.js";
import { Sources } from "./sources.js";
import { Stage } from "./stage.js";
import { Transport } from "./transport.js";
import { WholeFile } from "./whole-file.js";

/** A screen reader reads out a summary at most this often. */
const SPOKEN_EVERY_MS = 4000;

const skeletonKey = byId("skeleton-key");
const spoken = byId("spoken");
/** Whether a clip stood still when the model was loaded anew: it is looked at where it stands then. */
let standsStill = false;

const notices = new Notices();
const numbers = new NumbersPanel();
const savePanel = new SavePanel(reading);
const requests = new RequestCounter(showNumbers);
const settings = new SettingsForm(byId("settings", HTMLFormElement), configure);
const choices = new Choices(settings, notices);
const devicePanel = new DevicePanel(choices.device, loadModel);
const sharePanel = new SharePanel();
const ownFace = new OwnFace();
const neutralLook = new NeutralLook((options) => session.calibrate(options));
const readings = new Readings({ onChoose: redraw, onSeek: (seconds) => sources.seek(seconds) });
const stage = new Stage({
  onStop: () => sources.close(),
  onCamera: (deviceId) => sources.useCamera(deviceId),
  onResize: () => readings.drawOverlay(reading()),
});
const samples = new SampleFiles((fetching) => requests.leaveOut(fetching));
const machinePanel = new MachinePanel(
  version,
  () => samples.fetch(paintingUrl),
  (loading) => requests.leaveOut(loading),
);
const sources = new Sources(stage, notices, samples, {
  onOpen: (name) => {
    standsStill = false;
    session.open(name);
    sound.follow();
  },
  onClose: () => {
    wholeFile.stop();
    session.halt();
    sound.follow();
  },
});
const transport = new Transport(stage.video, (seconds) => sources.seek(seconds));
const model = new Model(devicePanel, notices, () => samples.fetchFirst(), {
  onStart: () => {
    requests.stop();
    neutralLook.forget();
    ownFace.leave();
    sound.follow();
  },
  onLoaded: (lens) => {
    requests.start();
    settings.show(lens.settings, lens.sound?.expression ?? false);
    showSnippet();
    void ownFace.meet(lens);
    if (standsStill && stage.video.paused) session.analysePausedFrame();
    else session.begin();
    sound.follow();
  },
  onEnd: showNumbers,
});
const session = new Session(model, sources, notices, {
  onReport: () => {
    readings.follow(reading());
    void ownFace.follow();
  },
  onChange: redraw,
  onRecovery: (lens) => devicePanel.showDevice(lens.device),
});

const wholeFile = new WholeFile(model, sources, session);

const sound = new Sound(model, sources, notices, {
  onFetch: (fetching) => requests.leaveOut(fetching),
  onChange: redraw,
});

const markedPanel = new MarkedPanel(() => {
  const { showing, size, picture } = sources;
  return {
    picture: picture ?? stage.video,
    size: showing === "nothing" ? undefined : size,
    isMirrored: showing === "camera",
    isMoving: showing !== "nothing" && showing !== "still",
    drawMarks: (canvas) => readings.drawMarks(canvas, reading()),
  };
});

/** @returns {import("./readings.js").Reading} */
function reading() {
  const { latest, log, sourceName } = session;
  const { showing, size, clip } = sources;
  const facts = model.lens?.violence ?? null;
  const threshold = settings.violenceThreshold;
  const [hasMesh, hasSkeletons, isListening] = [choices.mesh.checked, choices.skeletons.checked, sound.isOn];
  return { showing, size, clip, latest, log, sourceName, facts, threshold, hasMesh, hasSkeletons, isListening };
}

function redraw() {
  readings.redraw(reading());
  neutralLook.show(reading(), model.lens !== undefined);
  machinePanel.show(model.lens !== undefined && sources.showing === "nothing");
  ownFace.show(sources.showing !== "nothing" && sources.showing !== "still");
  if (sources.showing === "clip") transport.show();
  wholeFile.show();
  markedPanel.show();
  showNumbers();
}

/** Keeps the code on the page up with its settings. */
function showSnippet() {
  const tasks = tasksOf(choices.skeletons.checked);
  sharePanel.show({ tasks, device: devicePanel.chosen, isListening: sound.isWanted, settings: choices.settings });
}

function showNumbers() {
  numbers.show({ stats: session.stats, requests: countRequests(), timings: model.lens?.timings });
  savePanel.show(session.log);
}

/** Network requests since loading, of the page and of the model's worker. */
function countRequests() {
  return requests.count === undefined ? undefined : requests.count + (model.lens?.requestsAfterLoad ?? 0);
}

/** Loads the model for the chosen device, and with the networks for bodies only if somebody wants to see them. */
function loadModel() {
  if (model.lens) standsStill = sources.showing === "clip" && stage.video.paused;
  session.forget();
  skeletonKey.hidden = !choices.skeletons.checked;
  redraw();
  void model.load(devicePanel.chosen, choices.skeletons.checked);
}

/** @param {Partial<import("affectlens").Settings>} [changed] */
function configure(changed) {
  return session.configure({ ...changed, landmarks: choices.mesh.checked });
}

byId("use-camera").addEventListener("click", () => sources.useCamera());
byId("use-clip").addEventListener("click", () => sources.useSample(choices.sample));
acceptFiles((file) => sources.useFile(file));
choices.mesh.addEventListener("change", async () => {
  readings.drawOverlay(reading());
  await configure();
  if (choices.mesh.checked) session.analysePausedFrame();
});
choices.skeletons.addEventListener("change", loadModel);
// "change" comes once for a drag of a slider: browsers limit how often an address changes.
for (const event of ["change", "reset"]) {
  document.addEventListener(event, () => {
    notices.clear("address");
    choices.keep(devicePanel.chosen);
    showSnippet();
  });
}
stage.video.addEventListener("seeking", () => session.jump());
for (const event of ["play", "pause", "ended", "seeked"]) stage.video.addEventListener(event, redraw);
document.addEventListener("visibilitychange", () => session.followVisibility());
addEventListener("pagehide", () => {
  sources.close();
  model.dispose();
});
setInterval(redraw, REDRAW_EVERY_MS);
setInterval(() => setText(spoken, describeAloud(reading())), SPOKEN_EVERY_MS);

offerFullScreen();
showLinks();
showSnippet();
exposeCounters({ model, sources, session, sound, notices, countRequests });
setText(byId("version"), version);
byId("clip-licence", HTMLAnchorElement).href = clipLicenceUrl;
byId("weights-notice", HTMLAnchorElement).href = noticeUrl;
loadModel();
if (choices.opened) void (choices.opened === "clip" ? sources.useSample(choices.sample) : sources.useCamera());
