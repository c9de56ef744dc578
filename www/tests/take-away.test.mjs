// What a visitor takes away: a link, code, the marked picture and a clip of it; and the samples to begin with.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { runInNewContext } from "node:vm";

import { Browsers, serve, watchTrouble } from "./harness.mjs";

const LIMIT = { timeout: 180_000 };
const LOADED = { timeout: 90_000 };

const browsers = new Browsers();
let server;

before(async () => {
  server = await serve();
}, LIMIT);
after(async () => {
  await browsers.close();
  await server?.close();
});

async function visit(context, query) {
  const { page } = await browsers.newPage(context);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  const trouble = watchTrouble(page);
  await page.goto(`${server.url}?${query}`);
  await loaded(page);
  return { page, trouble, counters: () => page.evaluate(() => window.__affectlens.counters) };
}

const loaded = (page) => page.waitForFunction(() => window.__affectlens?.counters.isLoaded, undefined, LOADED);
const withFaces = (page, count) =>
  page.waitForFunction((count) => window.__affectlens.counters.latest?.faces.length === count, count, LOADED);

test("settings of the address are in force, bad ones are told, and changes are in the address and the code", LIMIT, async (context) => {
  const { page, trouble, counters } = await visit(context, "device=cpu&gla=0&halfWindow=7&blend=7&view=violence&mesh=1&sample=two&utm=x&skeletons=yes");
  assert.match(await page.textContent("#notice"), /not understood: blend=7, skeletons=yes\.$/);
  const { settings } = await counters();
  assert.deepEqual([settings.gla, settings.halfWindow, settings.landmarks], [false, 7, true]);
  assert.equal(await page.isChecked("[name=timeline-view][value=violence]"), true);
  assert.equal(await page.inputValue("#sample"), "two");

  await page.fill("[name=violenceThreshold]", "0.4");
  await page.uncheck("[name=filter]");
  await page.waitForFunction(() => /violenceThreshold=0\.4/.test(location.search) && /confidence=1/.test(location.search));
  assert.equal(await page.isHidden("#notice"), true, "the notice goes with the first change");
  assert.match(page.url(), /utm=x/);
  assert.doesNotMatch(page.url(), /blend|skeletons/);
  await page.click("#copy-snippet");
  await page.waitForFunction(() => document.querySelector("#copied").textContent === "The code is copied.");
  const code = await page.evaluate(() => navigator.clipboard.readText());
  const changed = runInNewContext(`(${/configure\((.+)\);/.exec(code)[1]})`);
  const { settings: now } = await counters();
  for (const [name, value] of Object.entries(changed)) assert.equal(now[name], value, name);
  assert.deepEqual(Object.keys(changed).sort(), ["confidence", "gla", "halfWindow", "landmarks", "violenceThreshold"]);
  await page.click("#copy-address");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), page.url());

  await page.reload();
  await loaded(page);
  const { settings: again } = await counters();
  for (const [name, value] of Object.entries(changed)) assert.equal(again[name], value, name);
  await page.click("#defaults");
  await page.waitForFunction(() => !/gla|halfWindow|confidence|violenceThreshold/.test(location.search));
  assert.deepEqual(trouble, []);
});

test("samples show two people, fast movement and a picture; the marked picture and a clip of it are saved", LIMIT, async (context) => {
  const { page, trouble, counters } = await visit(context, "device=cpu&sample=two");
  assert.equal(await page.isDisabled("#record"), true, "nothing is shown yet");
  await page.click("#use-clip");
  await withFaces(page, 2);
  assert.equal(await page.textContent("#shown"), "two people");
  assert.equal((await counters()).requests, 0, "what a visitor asks for is no request behind his back");

  const picture = await save(page, () => page.click("#save-picture"));
  assert.match(picture.name, /\.png$/);
  assert.equal(picture.stream, "png,960,360");
  const clip = await save(page, async () => {
    await page.click("#record");
    await page.waitForFunction(() => document.querySelector("#recorded").textContent === "Recording: 0:02");
    await page.click("#record");
  });
  assert.match(clip.name, /\.(webm|mp4)$/);
  assert.match(clip.stream, /^(vp9|vp8|h264),960,360$/);

  await page.selectOption("#sample", "movement");
  await page.click("#use-clip");
  await page.waitForFunction(() => window.__affectlens.counters.latest?.violence?.probability !== undefined, undefined, LOADED);
  const moved = (await counters()).latest.violence.probability;
  context.diagnostic(`fast movement: violence ${moved.toFixed(2)}`);
  await page.selectOption("#sample", "painting");
  await page.click("#use-clip");
  await withFaces(page, 1);
  const { showing, latest } = await counters();
  assert.deepEqual([showing, latest.violence?.probability], ["still", undefined]);
  assert.equal(await page.isDisabled("#record"), true, "a picture does not move");
  assert.deepEqual(trouble, []);
});

test("the picture fills the screen and comes back, and the links lead somewhere", LIMIT, async (context) => {
  const { page } = await visit(context, "device=cpu");
  await page.click("#full-screen");
  await page.waitForFunction(() => document.fullscreenElement?.id === "player");
  // Its event comes a frame later.
  await page.waitForFunction(() => document.querySelector("#full-screen").textContent === "Leave full screen");
  const { stage, screen } = await page.evaluate(() => ({ stage: document.querySelector("#stage").clientHeight, screen: innerHeight }));
  assert.ok(stage > 0.8 * screen, `${stage} of ${screen}`);
  await page.click("#full-screen");
  await page.waitForFunction(() => !document.fullscreenElement);
  const links = await page.locator("footer a").evaluateAll((all) => all.map(({ href, textContent }) => [textContent, href]));
  assert.ok(links.length >= 6, String(links));
  for (const [text, url] of links) {
    const { status } = await page.evaluate(async (url) => ({ status: (await fetch(url)).status }), url);
    assert.equal(status, 200, `${text}: ${url}`);
  }
});

/** The name of what is saved, and codec, width and height of its picture. */
async function save(page, act) {
  const [saved] = await Promise.all([page.waitForEvent("download"), act()]);
  const probe = ["-v", "error", "-select_streams", "v", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0", await saved.path()];
  return { name: saved.suggestedFilename(), stream: execFileSync("ffprobe", probe, { encoding: "utf8" }).trim() };
}
