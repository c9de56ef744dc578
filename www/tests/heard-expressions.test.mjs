// Expressions from sound, with a small network and a head of made-up weights that the caller brings: the real module, on
// both devices.

import assert from "node:assert/strict";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { ffmpeg, media, openBrowser, scratch, serve, tarballs, unpack } from "./harness.mjs";
import { layer, safetensors } from "./seeded.mjs";
import { tones, writeWav } from "./wav.mjs";

const LIMIT = { timeout: 240_000 };
const ENCODER = "wav2vec2-test";
/** Sizes of that network: `Wav2Vec2Config::TEST`. */
const [CHANNELS, WIDTH, LAYERS, HIDDEN, TAPS, GROUPS] = [16, 24, 2, 48, 8, 3];
const KERNELS = [10, 3, 3, 3, 3, 2, 2];
const CLASSES = ["neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "other"];
/** Between the CPU and a GPU, after softmax. */
const TOLERANCE = 1e-3;

const folder = scratch();
let server;

before(async () => {
  writeFileSync(join(folder, "index.html"), "<!doctype html><title>blank</title>");
  for (const [name, tarball] of [["affectlens", tarballs.library], ["affectlens-weights", tarballs.weights]]) {
    mkdirSync(join(folder, name));
    cpSync(unpack(tarball, join(folder, name)), join(folder, name), { recursive: true });
  }
  ffmpeg("-i", join(media, "cap13_edit2.mp4"), "-frames:v", "1", join(folder, "face.png"));
  writeWav(join(folder, "tones.wav"), 16_000, tones([{ hertz: 300, amplitude: 0.3 }], 16_000, 8));
  writeFileSync(join(folder, "encoder.safetensors"), safetensors(encoder(), { architecture: ENCODER }));
  const head = { "net.0.weight": [16, WIDTH], "net.0.bias": [16], "net.2.weight": [8, 16], "net.2.bias": [8] };
  writeFileSync(
    join(folder, "head.safetensors"),
    safetensors(head, { architecture: "mlp", classes: JSON.stringify(CLASSES), embedding: ENCODER }),
  );
  server = await serve(folder);
}, LIMIT);
after(() => server?.close());

/** Shapes of the network's parameters. */
function encoder() {
  const shapes = {};
  const pair = layer.bind(null, shapes);
  KERNELS.forEach((kernel, index) => (shapes[`extractor.${index}.weight`] = [CHANNELS, index ? CHANNELS : 1, kernel]));
  pair("extractor.0.norm", CHANNELS);
  pair("projection.norm", CHANNELS);
  pair("projection", WIDTH, CHANNELS);
  pair("position", WIDTH, WIDTH / GROUPS, TAPS);
  pair("encoder.norm", WIDTH);
  for (let layer = 0; layer < LAYERS; layer++) {
    for (const part of ["query", "key", "value", "output"]) pair(`layers.${layer}.attention.${part}`, WIDTH, WIDTH);
    pair(`layers.${layer}.norm1`, WIDTH);
    pair(`layers.${layer}.fc1`, HIDDEN, WIDTH);
    pair(`layers.${layer}.fc2`, WIDTH, HIDDEN);
    pair(`layers.${layer}.norm2`, WIDTH);
  }
  return shapes;
}

/** What a page on a device reports of a face beside the sound of a file. */
async function hear(context, device) {
  const browser = await openBrowser({ webgpu: device === "webgpu" });
  context.after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(server.url);
  return page.evaluate(async (device) => {
    const { load } = await import("/affectlens/index.js");
    const bytes = async (url) => (await fetch(url)).arrayBuffer();
    const { files } = await (await fetch("/affectlens-weights/manifest.json")).json();
    const wanted = ["detector", "backbone", "pretrained", "head", "voice"];
    const given = wanted.map(async (role) => [role, await bytes(`/affectlens-weights/${files[role].file}`)]);
    const weights = Object.fromEntries(await Promise.all(given));
    const refused = await load({ device, audio: true, weights: { ...weights, audioEncoder: await bytes("/encoder.safetensors") } }).then(
      () => "loaded",
      ({ code, message }) => `${code}: ${message}`,
    );
    Object.assign(weights, {
      audioEncoder: await bytes("/encoder.safetensors"),
      audioExpressionHead: await bytes("/head.safetensors"),
    });
    const lens = await load({ device, audio: true, weights });
    await lens.configure({ speechOnly: false, confidence: 1, halfWindow: 0 });
    const face = await createImageBitmap(await (await fetch("/face.png")).blob());
    await lens.listen(await (await fetch("/tones.wav")).blob());
    const reports = [];
    for (let timeMs = 0; timeMs <= 6000; timeMs += 500) reports.push(await lens.analyze(face, { timeMs }));
    await lens.configure({ faceWeight: 1 });
    const alone = await lens.analyze(face, { timeMs: 6500 });
    const { device: facts, sound } = lens;
    lens.dispose();
    return { refused, reports, alone, sound, kind: facts.kind };
  }, device);
}

test("a head over sound is averaged with faces, alike on the CPU and on WebGPU", LIMIT, async (context) => {
  const heard = [];
  for (const device of /** @type {const} */ (["cpu", "webgpu"])) {
    const { refused, reports, alone, sound, kind } = await hear(context, device);
    assert.equal(kind, device);
    assert.match(refused, /^weights-missing: weights have no `audioExpressionHead`/);
    assert.deepEqual(sound, { speech: true, expression: true, windowMs: 4000 });
    assert.equal(reports[0].audio?.probabilities, undefined, "no window is full yet");
    const { audio, faces } = reports.at(-1);
    assert.deepEqual(Object.keys(audio.probabilities), CLASSES);
    const sum = Object.values(audio.probabilities).reduce((sum, p) => sum + p, 0);
    assert.ok(Math.abs(sum - 1) < 1e-4, `${sum}`);
    assert.equal(audio.window_ms, 4000);
    assert.ok(audio.delay_ms >= 0 && audio.delay_ms < 4000, `${audio.delay_ms} ms`);
    assert.equal(faces[0].expression.source, "blend");
    assert.equal(alone.faces[0].expression.source, "head");
    // The first window ends at the same sample on both; how soon others follow depends on the machine.
    heard.push(reports.find(({ audio }) => audio?.probabilities).audio.probabilities);
  }
  const [cpu, gpu] = heard;
  for (const name of CLASSES) assert.ok(Math.abs(cpu[name] - gpu[name]) < TOLERANCE, `${name}: ${cpu[name]}, ${gpu[name]}`);
});
