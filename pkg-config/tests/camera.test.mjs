// Cameras and microphones: opened, exchanged, closed, lost, and refused in words and codes, in Node.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { listCameras, openCamera } from "../affectlens/camera.js";
import { openMicrophone } from "../affectlens/microphone.js";

class Track extends EventTarget {
  readyState = "live";

  constructor(deviceId) {
    super();
    this.deviceId = deviceId;
    this.label = `camera ${deviceId}`;
  }

  getSettings() {
    return { deviceId: this.deviceId };
  }

  stop() {
    this.readyState = "ended";
  }

  unplug() {
    this.readyState = "ended";
    this.dispatchEvent(new Event("ended"));
  }
}

class Video {
  srcObject = null;
  play = async () => {};

  get [Symbol.toStringTag]() {
    return "HTMLVideoElement";
  }
}

const asked = [];
let tracks;
let answer;
let devices;

beforeEach(() => {
  asked.length = 0;
  tracks = [];
  answer = undefined;
  devices = [
    { kind: "videoinput", deviceId: "front", label: "Front" },
    { kind: "audioinput", deviceId: "ear", label: "Ear" },
    { kind: "videoinput", deviceId: "back", label: "" },
  ];
  globalThis.isSecureContext = true;
  const mediaDevices = {
    enumerateDevices: async () => devices,
    async getUserMedia(wanted) {
      asked.push(wanted);
      await answer;
      const track = new Track((wanted.video ?? wanted.audio).deviceId?.exact ?? "front");
      tracks.push(track);
      return { getTracks: () => [track], getVideoTracks: () => [track] };
    },
  };
  Object.defineProperty(globalThis, "navigator", { value: { mediaDevices }, configurable: true });
});

const states = () => tracks.map(({ readyState }) => readyState);

test("a camera is opened, shown, and closed", async () => {
  const video = new Video();
  const camera = await openCamera({ video, width: 1280, height: 720, facing: "environment" });
  assert.deepEqual(asked, [{ video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } } }]);
  assert.deepEqual([camera.state, camera.deviceId, camera.label], ["open", "front", "camera front"]);
  assert.deepEqual([video.srcObject, video.muted, video.playsInline], [camera.stream, true, true]);
  camera.close();
  camera.close();
  assert.deepEqual([camera.state, await camera.ended, states(), video.srcObject], ["closed", "closed", ["ended"], null]);
});

test("cameras are listed once they are known, those without a name by number", async () => {
  assert.deepEqual(await listCameras(), [{ id: "front", label: "Front" }, { id: "back", label: "Camera 2" }]);
  devices = devices.map((device) => ({ ...device, deviceId: "", label: "" }));
  assert.deepEqual(await listCameras(), []);
  delete globalThis.navigator;
  assert.deepEqual(await listCameras(), []);
});

test("another camera takes the place of the first in the same element", async () => {
  const video = new Video();
  const camera = await openCamera({ video });
  const first = camera.stream;
  await camera.switchTo("back");
  assert.deepEqual(asked[1].video.deviceId, { exact: "back" });
  assert.deepEqual([camera.state, camera.deviceId, states()], ["open", "back", ["ended", "live"]]);
  assert.notEqual(camera.stream, first);
  assert.equal(video.srcObject, camera.stream);
  tracks[0].dispatchEvent(new Event("ended"));
  assert.equal(camera.state, "open", "the first one is nobody's any more");
});

test("where the other camera cannot be opened none is, and it is said why", async () => {
  const video = new Video();
  const camera = await openCamera({ video });
  answer = Promise.reject(new DOMException("", "OverconstrainedError"));
  await assert.rejects(camera.switchTo("gone"), { code: "camera-lost" });
  assert.deepEqual([camera.state, states(), video.srcObject, await camera.ended], ["closed", ["ended"], null, "closed"]);
  await assert.rejects(camera.switchTo("front"), { code: "disposed", message: /the camera is closed/ });
  await assert.rejects(camera.switchTo(""), { code: "bad-argument" });
});

test("a camera that is unplugged is lost", async () => {
  const video = new Video();
  const camera = await openCamera({ video });
  tracks[0].unplug();
  assert.deepEqual([camera.state, await camera.ended, video.srcObject], ["lost", "lost", null]);
});

test("a camera that is unplugged before it is shown is lost too", async () => {
  const video = new Video();
  video.play = () => {
    tracks[0].unplug();
    return Promise.reject(new DOMException("interrupted", "AbortError"));
  };
  await assert.rejects(openCamera({ video }), { code: "camera-lost" });
});

test("an element that does not play is named, and the camera closed", async () => {
  const video = new Video();
  video.play = () => Promise.reject(new DOMException("not now", "NotAllowedError"));
  await assert.rejects(openCamera({ video }), { code: "picture-empty", message: /does not play the camera: not now/ });
  assert.deepEqual([states(), video.srcObject], [["ended"], null]);
});

test("a signal gives up a camera that opens, and closes one that is open", async () => {
  const controller = new AbortController();
  let allow;
  answer = new Promise((resolve) => (allow = resolve));
  const opening = openCamera({ signal: controller.signal });
  controller.abort();
  allow();
  await assert.rejects(opening, { name: "AbortError" });
  assert.deepEqual(states(), ["ended"]);
  await assert.rejects(openCamera({ signal: controller.signal }), { name: "AbortError" });
  assert.equal(asked.length, 1);

  const other = new AbortController();
  const camera = await openCamera({ signal: other.signal });
  other.abort();
  assert.equal(await camera.ended, "closed");
});

test("each reason why none opens has its code, for cameras and microphones", async () => {
  for (const [name, state] of [
    ["NotAllowedError", "denied"],
    ["SecurityError", "denied"],
    ["NotFoundError", "none"],
    ["NotReadableError", "in-use"],
    ["AbortError", "in-use"],
    ["OverconstrainedError", "lost"],
    ["TypeError", "none"],
  ]) {
    const cause = new DOMException("why", name);
    answer = Promise.reject(cause);
    await assert.rejects(openCamera(), { name: "AffectLensError", code: `camera-${state}`, cause, message: /camera/ });
    await assert.rejects(openMicrophone(), { code: `microphone-${state}`, cause, message: /microphone/ });
  }
});

test("a machine without any is not one whose camera was taken away", async () => {
  devices = devices.filter(({ kind }) => kind !== "videoinput");
  answer = Promise.reject(new DOMException("", "OverconstrainedError"));
  await assert.rejects(openCamera({ deviceId: "front" }), { code: "camera-none" });
  await assert.rejects(openMicrophone({ deviceId: "mouth" }), { code: "microphone-lost" });
});

test("pages that are not secure, and places that are no page, are told so", async () => {
  globalThis.isSecureContext = false;
  await assert.rejects(openCamera(), { code: "insecure-context", message: /over https, or open it on localhost/ });
  delete globalThis.isSecureContext;
  await assert.rejects(openCamera(), { code: "unsupported", message: /there is no camera here/ });
  assert.deepEqual(asked, []);
});

test("a microphone is opened as it is", async () => {
  await openMicrophone({ deviceId: "ear" });
  const wanted = { echoCancellation: true, noiseSuppression: false, autoGainControl: false, deviceId: { exact: "ear" } };
  assert.deepEqual(asked, [{ audio: wanted }]);
});

test("wrong options are refused", async () => {
  const refused = (options, message) => assert.rejects(openCamera(options), { code: "bad-argument", message });
  await refused({ id: "front" }, 'options is "id", expected one of video, deviceId, facing, width, height, signal');
  await refused({ video: {} }, "video is Object, expected an HTMLVideoElement");
  await refused({ facing: "me" }, 'facing is "me", expected one of user, environment');
  await refused({ width: 0 }, "width is 0, expected a whole number from 1 to 16384");
});
