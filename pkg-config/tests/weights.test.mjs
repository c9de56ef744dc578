// Which weights files are read for which tasks, what is said where they do not come, and what is kept of them. In Node.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mock, test } from "node:test";

import { SOUND_ROLES, TASKS } from "../affectlens/names.js";
import { ROLES, gatherWeights, readManifest, rolesFor } from "../affectlens/weights.js";
import { FakeCaches, failureOf, setGlobals, settle, stopClock } from "./fakes.mjs";

const FACES = ["detector", "backbone", "pretrained", "head", "mesh"];
const VIOLENCE = ["violenceBackbone", "violenceHead"];
const POSE = ["poseDetector", "poseLandmarks"];
/** Files that are read in the place of others. */
const LARGER = ["poseLandmarksFull", "poseLandmarksHeavy"];

test("each task reads the files that it can use, and violence alone none of faces", () => {
  assert.deepEqual(rolesFor(["expression"]), FACES);
  const sorted = (roles) => ROLES.filter((role) => roles.includes(role));
  assert.deepEqual(rolesFor(["valence-arousal"]), sorted([...FACES, "valenceArousalHead"]));
  assert.deepEqual(rolesFor(["action-units"]), sorted([...FACES, "actionUnitsHead", "blendshapes"]));
  assert.deepEqual(rolesFor(["violence"]), VIOLENCE);
  assert.deepEqual(rolesFor(["violence", "expression"]), [...FACES, ...VIOLENCE]);
  assert.deepEqual(rolesFor(["pose"]), POSE);
  assert.deepEqual(rolesFor(TASKS, "auto", true), ROLES.filter((role) => !LARGER.includes(role)));
});

test("what sound is heard with is read only where it is asked for, whatever the tasks", () => {
  assert.deepEqual(rolesFor(["violence"], "short-range", true), [...VIOLENCE, ...SOUND_ROLES]);
  assert.deepEqual(rolesFor(["expression"], "short-range", true), [...FACES, ...SOUND_ROLES]);
  assert.deepEqual(rolesFor(TASKS, "auto"), ROLES.filter((role) => ![...SOUND_ROLES, ...LARGER].includes(role)));
});

test("only the detectors that are asked for are read", () => {
  const detectors = (detector) => rolesFor(["expression"], detector).filter((role) => /detector/i.test(role));
  assert.deepEqual(detectors(undefined), ["detector"]);
  assert.deepEqual(detectors("short-range"), ["detector"]);
  assert.deepEqual(detectors("full-range"), ["fullRangeDetector"]);
  assert.deepEqual(detectors("auto"), ["detector", "fullRangeDetector"]);
});

test("one network for the points of a body is read, the one that is asked for", () => {
  const points = (pose) => rolesFor(["pose", "expression"], "short-range", false, pose).filter((role) => /^poseLandmarks/.test(role));
  assert.deepEqual([points(undefined), points("lite")], [["poseLandmarks"], ["poseLandmarks"]]);
  assert.deepEqual([points("full"), points("heavy")], [["poseLandmarksFull"], ["poseLandmarksHeavy"]]);
  assert.deepEqual(rolesFor(["expression"], "short-range", false, "full"), FACES);
});

/** The files by their role, once those from the network are kept. */
async function gatherFiles(wanted) {
  const files = {};
  const read = (role, bytes) => {
    files[role] = bytes;
  };
  const { roles, kept } = await gatherWeights({ detector: "short-range", audio: false, read, ...wanted });
  assert.deepEqual(roles.toSorted(), Object.keys(files).sort());
  await kept;
  return files;
}

test("bytes that no task can use are left out, and missing ones are not made up", async () => {
  const files = { detector: new Uint8Array(1), violenceHead: new Uint8Array(2) };
  const gathered = (tasks) => gatherFiles({ source: { kind: "bytes", files }, tasks, onBytes: assert.fail });
  assert.deepEqual(await gathered(["violence"]), { violenceHead: files.violenceHead });
  assert.deepEqual(await gathered(["expression"]), { detector: files.detector });
});

test("a manifest's violence files are read with whole addresses, and checked", () => {
  const file = { file: "violence-head.safetensors", bytes: 7, sha256: "0".repeat(64) };
  const url = "https://example.invalid/weights/violence-head.safetensors";
  const base = "https://example.invalid/weights/manifest.json";
  const read = (violenceHead) => readManifest({ files: { violenceHead, gaze: file } }, base);
  assert.deepEqual(read(file), { violenceHead: { url, bytes: 7, sha256: file.sha256 } });
  const broken = { code: "weights-malformed", message: /gives `violenceHead` 0 bytes, expected 1 to/ };
  assert.throws(() => read({ ...file, bytes: 0 }), broken);
});

test("a manifest that is wrong is named, whatever is in it", () => {
  const read = (fields) => readManifest({ files: { detector: { file: "a", bytes: 1, sha256: "0".repeat(64), ...fields } } }, "https://page.test/");
  for (const [fields, message] of [
    [{ url: "http://:80" }, /gives `detector` the address `http:\/\/:80`, which is none/],
    [{ url: `http://${"a".repeat(500)}:x` }, /the address `http:\/\/a{93}`, which is none/],
    [{ bytes: Symbol("many") }, /gives `detector` Symbol\(many\) bytes/],
    [{ url: 7 }, /names no file for `detector`/],
  ]) {
    assert.throws(() => read(fields), { name: "AffectLensError", code: "weights-malformed", message });
  }
});

const MANIFEST = "https://page.test/weights/manifest.json";
const never = () => new Promise(() => {});

/** A server of one file; `answers` stand in for it by the end of their address. */
function serve(context, { content = "weights", answers = {}, caches = new FakeCaches() } = {}) {
  const bytes = new TextEncoder().encode(content);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const manifest = JSON.stringify({ files: { detector: { file: "detector.safetensors", bytes: bytes.length, sha256 } } });
  const asked = [];
  const fetch = async (address) => {
    const url = String(address);
    asked.push(url.split("/").at(-1));
    const answer = Object.entries(answers).find(([end]) => url.endsWith(end))?.[1];
    if (answer) return answer();
    return new Response(url.endsWith(".json") ? manifest : bytes);
  };
  setGlobals(context, { fetch, caches, self: { origin: "https://page.test" } });
  const gather = (url = MANIFEST) => gatherFiles({ source: { kind: "manifest", url }, tasks: ["expression"], onBytes: () => {} });
  return { asked, caches, bytes, sha256, gather };
}

/** Some bytes, and then what `end` does. */
const broken = (end) => () => {
  let sent = false;
  const pull = async (controller) => {
    if (sent) return end(controller);
    sent = true;
    controller.enqueue(new Uint8Array(3));
  };
  return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
};

for (const file of [".safetensors", ".json"]) {
  test(`a break of the network in a ${file} is missing weights, with its cause`, async (context) => {
    for (const [answer, reason] of [
      [broken((controller) => controller.error(new TypeError("network error"))), /broke off after 3 bytes: network error$/],
      [() => Promise.reject(new TypeError("Failed to fetch")), /cannot be fetched: Failed to fetch$/],
      [() => new Response("", { status: 503 }), /answered 503$/],
    ]) {
      const { gather } = serve(context, { answers: { [file]: answer } });
      await assert.rejects(gather(), { name: "AffectLensError", code: "weights-missing", message: reason });
    }
  });

  test(`a server that stops sending a ${file} is not waited for without end`, async (context) => {
    const clock = stopClock(context);
    for (const answer of [never, broken(never)]) {
      const { gather } = serve(context, { answers: { [file]: answer } });
      const seen = failureOf(gather());
      await clock.pass(29_000);
      assert.equal(seen.failure, undefined);
      await clock.pass(2_000);
      assert.equal(seen.failure[0], "weights-missing");
      assert.match(seen.failure[1], /stopped coming: nothing was sent for 30 s$/);
    }
  });
}

test("a manifest without end is refused", async (context) => {
  const endless = () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(2 ** 16).fill(32)) }));
  const { gather } = serve(context, { answers: { ".json": endless } });
  await assert.rejects(gather(), { code: "weights-malformed", message: /has more than 1048576 bytes$/ });
});

for (const method of ["open", "match", "read", "put", "delete", "keys"]) {
  test(`a cache whose \`${method}\` fails or never answers is done without`, async (context) => {
    const clock = stopClock(context);
    for (const trouble of [() => Promise.reject(new DOMException("no room", "QuotaExceededError")), never]) {
      const caches = new FakeCaches();
      const { gather, bytes, sha256 } = serve(context, { caches });
      caches.entries.set(`https://affectlens.invalid/sha256/${sha256}`, new Uint8Array(3));
      caches.trouble = async (name) => (name === method ? trouble() : undefined);
      let gathered;
      void gather().then((files) => (gathered = files));
      // Digests take their own time, whatever the clock says.
      for (let seconds = 0; seconds < 3_000 && !gathered; seconds++) await clock.pass(1_000);
      assert.deepEqual(gathered, { detector: bytes });
    }
  });
}

test("without a cache that can be named, weights are fetched", async (context) => {
  const { gather, bytes } = serve(context, { caches: undefined });
  assert.deepEqual(await gather(), { detector: bytes });
});

test("offline, the manifest of the last visit names the files, which are still there", async (context) => {
  const caches = new FakeCaches();
  await serve(context, { caches }).gather();
  const offline = () => Promise.reject(new TypeError("Failed to fetch"));
  const { gather, bytes } = serve(context, { caches, answers: { "": offline } });
  assert.deepEqual(await gather(), { detector: bytes });
  await assert.rejects(gather("https://page.test/other/manifest.json"), { code: "weights-missing" });
});

test("a file is kept once, whatever addresses it has", async (context) => {
  const { gather, caches, asked } = serve(context);
  for (let visit = 0; visit < 20; visit++) {
    await gather(`https://page.test/release-${visit}/manifest.json`);
    await settle();
  }
  assert.equal(asked.filter((name) => name === "detector.safetensors").length, 1);
  assert.equal([...caches.entries.keys()].filter((key) => key.includes("sha256")).length, 1);
});

test("what nobody has asked for in a month is thrown away, and so is what older versions kept", async (context) => {
  const DAY = 86_400_000;
  let now = 20_000 * DAY;
  const date = mock.method(Date, "now", () => now);
  context.after(() => date.mock.restore());
  const caches = new FakeCaches();
  caches.entries.set("https://page.test/weights/detector.safetensors?sha256=0", new Uint8Array(9));
  const visit = async (content) => {
    const { gather, sha256 } = serve(context, { content, caches });
    await gather();
    await settle();
    return sha256;
  };
  const kept = () => [...caches.entries.keys()].filter((key) => key.includes("sha256")).map((key) => key.split("/").at(-1));
  const old = await visit("old");
  assert.deepEqual(kept(), [old]);
  now += 20 * DAY;
  const used = await visit("used");
  assert.deepEqual(kept(), [old, used]);
  now += 11 * DAY;
  assert.equal(await visit("used"), used);
  assert.deepEqual(kept(), [used]);
});

test("of what is not used now, no more is kept than a browser spares", async (context) => {
  const caches = new FakeCaches();
  const uses = {};
  for (let file = 0; file < 5; file++) {
    const key = `https://affectlens.invalid/sha256/${file}`;
    caches.entries.set(key, new Uint8Array(1));
    uses[key] = { day: Math.floor(Date.now() / 86_400_000) - file, bytes: 100 * 2 ** 20 };
  }
  caches.entries.set("https://affectlens.invalid/uses.json", new TextEncoder().encode(JSON.stringify(uses)));
  const { gather, sha256 } = serve(context, { caches });
  await gather();
  await settle();
  const kept = [...caches.entries.keys()].filter((key) => key.includes("sha256")).map((key) => key.split("/").at(-1));
  assert.deepEqual(kept.sort(), ["0", "1", sha256].sort());
});
