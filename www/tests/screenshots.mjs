// Takes pictures of the page for people to look at: `npm run screenshots -- FOLDER`.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { argv } from "node:process";

import { openBrowser, serve, watchTrouble } from "./harness.mjs";

const folder = argv[2] ?? "screenshots";
mkdirSync(folder, { recursive: true });

const VIEWS = [
  { name: "start", query: "device=cpu", width: 1280, height: 900 },
  { name: "clip", query: "device=cpu&source=clip&autostart=1", width: 1280, height: 900, reports: 40 },
  { name: "dark", query: "device=cpu&source=clip&autostart=1", width: 1280, height: 900, dark: true, reports: 40 },
  { name: "violence", query: "device=cpu&source=clip&autostart=1", width: 1280, height: 900, timeline: "violence", reports: 120 },
  { name: "phone", query: "device=cpu&source=clip&autostart=1", width: 360, height: 780, reports: 20 },
  { name: "tablet", query: "device=auto&source=clip&autostart=1", width: 820, height: 1100, dark: true, reports: 10 },
  { name: "denied", query: "device=cpu&source=camera&autostart=1", width: 1280, height: 900 },
];

const server = await serve();
const browser = await openBrowser({ camera: "denied" });
try {
  for (const { name, query, width, height, dark, timeline = "expressions", reports = 0 } of VIEWS) {
    const page = await browser.newPage({ viewport: { width, height }, colorScheme: dark ? "dark" : "light" });
    const trouble = watchTrouble(page);
    await page.goto(`${server.url}?${query}`);
    await page.waitForFunction(() => window.__affectlens?.counters.isLoaded, undefined, { timeout: 120_000 });
    await page.waitForFunction((count) => window.__affectlens.counters.analysed >= count, reports, { timeout: 120_000 });
    await page.check(`[name=timeline-view][value=${timeline}]`);
    await page.waitForTimeout(400);
    await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
    if (trouble.length > 0) console.error(`${name}: ${trouble[0]} (${trouble.length} in all)`);
    await page.close();
  }
} finally {
  await browser.close();
  await server.close();
}
