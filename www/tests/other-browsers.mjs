// Firefox and WebKitGTK, as Debian has them, without a protocol for automation: a browser opens a page, and the page sends
// what it found back to its own server.

import { spawn } from "node:child_process";
import { accessSync, constants, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { env, kill } from "node:process";

import { scratch } from "./harness.mjs";

const FIREFOX = env.AFFECTLENS_FIREFOX ?? "/usr/bin/firefox-esr";
const WEBKIT = env.AFFECTLENS_WEBKIT ?? "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser";
const XVFB = "/usr/bin/xvfb-run";

/** The driver that computes Vulkan in software. */
const SOFTWARE_VULKAN = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";
/** What has Firefox offer WebGPU wherever it is built in. */
export const FIREFOX_WEBGPU = {
  settings: { "dom.webgpu.enabled": true, "dom.webgpu.workers.enabled": true, "gfx.webgpu.ignore-blocklist": true },
  environment: { VK_ICD_FILENAMES: SOFTWARE_VULKAN, VK_DRIVER_FILES: SOFTWARE_VULKAN },
};

/** No requests of the browser's own, no page in front of ours, and no question before a camera. */
const FIREFOX_SETTINGS = {
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.aboutwelcome.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage_override.mstone": "ignore",
  "datareporting.policy.dataSubmissionEnabled": false,
  "extensions.getAddons.cache.enabled": false,
  "media.autoplay.default": 0,
  "media.navigator.permission.disabled": true,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,",
  "toolkit.telemetry.reportingpolicy.firstRun": false,
  "trailhead.firstrun.didSeeAboutWelcome": true,
};

/** What has WebKit look for cameras and play without a click. */
const WEBKIT_MEDIA = ["--autoplay-policy=allow", "--enable-media-stream=true"];
/** What has WebKit make up a camera, before which it asks. */
export const WEBKIT_CAMERA = ["--enable-mock-capture-devices=true"];

/**
 * @typedef {{ settings: Record<string, unknown>, media: boolean, flags: string[] }} Start
 * @type {Record<string, { needs: string[], start: (url: string, home: string, wanted: Start) => string[] }>}
 */
export const BROWSERS = {
  Firefox: {
    needs: [FIREFOX],
    start(url, home, { settings }) {
      const lines = Object.entries({ ...FIREFOX_SETTINGS, ...settings }).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`);
      writeFileSync(join(home, "user.js"), lines.join("\n"));
      return [FIREFOX, "--headless", "--no-remote", "--profile", home, url];
    },
  },
  WebKitGTK: {
    needs: [WEBKIT, XVFB],
    start: (url, _home, { media, flags }) => [XVFB, "--auto-servernum", WEBKIT, "--private", ...(media ? WEBKIT_MEDIA : []), ...flags, url],
  },
};

/** Why a browser cannot be tested on this machine; `false` if it can. */
export function whyNot(name) {
  const missing = BROWSERS[name].needs.filter((file) => !isProgram(file));
  return missing.length > 0 && `${missing.join(" and ")} missing: set-up installs firefox-esr, libwebkit2gtk-4.1-0 and xvfb`;
}

/**
 * Opens a page of `server` in a browser of its own; gives what the page sends to `/result`, read as JSON.
 *
 * @param {string} name
 * @param {{ url: string, takeResult: () => Promise<string> }} server
 * @param {{ path?: string, limitMs?: number, settings?: Record<string, unknown>, media?: boolean, flags?: string[],
 *   environment?: Record<string, string> }} [options] `settings`: of Firefox, in place of its defaults; `media`: whether WebKit looks for
 *   cameras and plays without a click; `flags`: more of WebKit's
 */
export async function visitWith(name, server, { path = "", limitMs = 90_000, settings = {}, media = false, flags = [], environment = {} } = {}) {
  const home = join(scratch(), "home");
  mkdirSync(home);
  const [program, ...parameters] = BROWSERS[name].start(server.url + path, home, { settings, media, flags });
  const browser = spawn(program, parameters, {
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...env, ...environment, HOME: home, XDG_CACHE_HOME: home, XDG_CONFIG_HOME: home, XDG_DATA_HOME: home, XDG_RUNTIME_DIR: home },
  });
  let said = "";
  browser.stderr.on("data", (text) => (said = (said + text).slice(-2_000)));
  const ended = new Promise((_, reject) => {
    browser.on("error", reject);
    browser.on("exit", (code) => reject(new Error(`${name} ended by itself (${code}): ${said}`)));
  });
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} sent nothing in ${limitMs} ms: ${said}`)), limitMs);
  });
  try {
    return JSON.parse(await Promise.race([server.takeResult(), ended, late]));
  } finally {
    clearTimeout(timer);
    await endGroup(browser, ended);
  }
}

/** Ends a browser with all of its processes, and waits for its end: its folder is removed later. */
async function endGroup(browser, ended) {
  try {
    if (browser.exitCode === null) kill(-browser.pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
  await ended.catch(() => {});
}

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
