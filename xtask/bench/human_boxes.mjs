// @ts-check
// Prints the boxes of faces that `@vladmandic/human` finds in pictures, a JSON line each: `[[left, top, width, height], ...]`.
//
//   npm ci && node human_boxes.mjs PICTURE...
//
// Its detector is BlazeFace, as installed, asked for up to 50 faces; it looks once at the whole picture. CPU (wasm).

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { argv, env, stdout } from "node:process";

import { chromium } from "playwright-core";

import { serve } from "./server.mjs";

const here = import.meta.dirname;
const server = await serve({
  page: join(here, "page"),
  human: join(here, "node_modules/@vladmandic/human"),
  "tfjs-wasm": join(here, "node_modules/@tensorflow/tfjs-backend-wasm/dist"),
});
const browser = await chromium.launch({
  executablePath: env.AFFECTLENS_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--mute-audio"],
});
try {
  const page = await browser.newPage();
  await page.goto(`${server.url}/page/index.html`);
  for (const file of argv.slice(2)) {
    const picture = readFileSync(file).toString("base64");
    const boxes = await page.evaluate(async (base64) => {
      const { Human } = await import(/** @type {string} */ ("/human/dist/human.esm.js"));
      const shared = /** @type {any} */ (window);
      shared.human ??= new Human({
        backend: "wasm",
        wasmPath: "/tfjs-wasm/",
        modelBasePath: "/human/models/",
        cacheSensitivity: 0,
        filter: { enabled: false },
        face: {
          detector: { maxDetected: 50, rotation: false },
          mesh: { enabled: false },
          iris: { enabled: false },
          emotion: { enabled: false },
          description: { enabled: false },
        },
        body: { enabled: false },
        hand: { enabled: false },
        gesture: { enabled: false },
      });
      const response = await fetch(`data:image/png;base64,${base64}`);
      const bitmap = await createImageBitmap(await response.blob());
      const { face, error } = await shared.human.detect(bitmap);
      if (error) throw new Error(error);
      return face.map((/** @type {{ box: number[] }} */ { box }) => box);
    }, picture);
    stdout.write(`${JSON.stringify(boxes)}\n`);
  }
} finally {
  await browser.close();
  server.close();
}
