// Takes pictures of the page for people to look at: `npm run screenshots -- FOLDER [NAME...]`.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { argv } from "node:process";

import { openBrowser, serve, watchTrouble } from "./harness.mjs";

const [folder = "screenshots", ...wanted] = argv.slice(2);
mkdirSync(folder, { recursive: true });

const LIMIT = { timeout: 120_000 };
const CLIP = "device=cpu&source=clip&autostart=1";
const HEIGHTS = { 390: 844, 820: 1180, 1280: 900, 2560: 1440 };
const LOOKS = { light: { colorScheme: "light" }, dark: { colorScheme: "dark" }, forced: { colorScheme: "dark", forcedColors: "active" } };

/** Every width in every look, and states of their own. */
const VIEWS = [
  ...Object.keys(HEIGHTS).flatMap((width) =>
    Object.keys(LOOKS).map((look) => ({ name: `${width}-${look}`, query: `${CLIP}&sample=two`, width: Number(width), look, reports: 20 })),
  ),
  { name: "start", query: "device=cpu", width: 1280 },
  { name: "start-phone", query: "device=cpu", width: 390 },
  { name: "clip", query: CLIP, width: 1280, reports: 40 },
  { name: "violence", query: `${CLIP}&view=violence`, width: 1280, reports: 120 },
  { name: "skeletons", query: `${CLIP}&skeletons=1&mesh=1`, width: 1280, reports: 20 },
  { name: "denied", query: "device=cpu&source=camera&autostart=1", width: 1280 },
  { name: "bad-address", query: "device=cpu&blend=7", width: 820 },
];

const server = await serve();
const browser = await openBrowser({ camera: "denied" });
const profile = await browser.newContext();
try {
  for (const { name, query, width, look = "light", reports = 0 } of VIEWS) {
    if (wanted.length > 0 && !wanted.some((part) => name.includes(part))) continue;
    const page = await profile.newPage();
    await page.setViewportSize({ width, height: HEIGHTS[width] });
    await page.emulateMedia(LOOKS[look]);
    const trouble = watchTrouble(page);
    await page.goto(`${server.url}?${query}`);
    await page.waitForFunction(() => window.__affectlens?.counters.isLoaded, undefined, LIMIT);
    await page.waitForFunction((count) => window.__affectlens.counters.analysed >= count, reports, LIMIT);
    await page.waitForTimeout(400);
    await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
    if (trouble.length > 0) console.error(`${name}: ${trouble[0]} (${trouble.length} in all)`);
    await page.close();
  }
} finally {
  await browser.close();
  await server.close();
}
