// What the package hears in Chromium: microphone, playing elements and files, as they reach the module. A double stands in
// for the module and keeps what it is given.

import assert from "node:assert/strict";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";

import { ffmpeg, openBrowser, scratch, serve, tarballs, unpack } from "./harness.mjs";
import { BROWSERS, visitWith, whyNot } from "./other-browsers.mjs";
import { tones, writeWav } from "./wav.mjs";

/** Of a whole suite, on a machine that is busy with other things. */
const LIMIT = { timeout: 180_000 };
const RATE = 16_000;
const HERTZ = 440;
/** Above what 16,000 samples a second can hold; without a filter it would be heard at 4,000 Hz. */
const TOO_HIGH = 12_000;
const AMPLITUDE = 0.4;
const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

const folder = scratch();
let server;
let elsewhere;
let browser;
let page;
const violations = [];

before(async () => {
  writeFileSync(join(folder, "index.html"), "<!doctype html><title>blank</title>");
  mkdirSync(join(folder, "double"));
  cpSync(unpack(tarballs.library, join(folder, "double")), join(folder, "double"), { recursive: true });
  cpSync(join(import.meta.dirname, "double.js"), join(folder, "double/affectlens.js"));
  cpSync(join(import.meta.dirname, "hear.js"), join(folder, "hear.js"));
  writeFileSync(join(folder, "hear.html"), `<!doctype html><title>hear</title><script type="module" src="/hear.js"></script>`);
  const both = [HERTZ, TOO_HIGH].map((hertz) => ({ hertz, amplitude: AMPLITUDE }));
  writeWav(join(folder, "tones.wav"), 48_000, tones(both, 48_000, 10));
  const clip = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=10"];
  ffmpeg(...clip, "-i", join(folder, "tones.wav"), "-c:v", "libvpx", "-c:a", "libopus", "-b:a", "256k", join(folder, "tones.webm"));
  ffmpeg(...clip, "-c:v", "libvpx", join(folder, "silent.webm"));
  server = await serve(folder);
  elsewhere = await serve(folder, { headers: { "Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin" } });
  browser = await openBrowser({ microphone: join(folder, "tones.wav") });
}, LIMIT);

after(async () => {
  await browser?.close();
  await server?.close();
  await elsewhere?.close();
});

beforeEach(async () => {
  await page?.close();
  page = await open(browser);
});

/** A page with what the tests use. */
async function open(browser) {
  const page = await (await browser.newContext()).newPage();
  page.on("console", (message) => /content security policy/i.test(message.text()) && violations.push(message.text()));
  await page.goto(server.url);
  await page.evaluate(async () => {
    const { load } = await import("/double/index.js");
    const weights = Object.fromEntries(["detector", "backbone", "head", "voice"].map((role) => [role, new ArrayBuffer(1)]));
    const hearing = (options) => load({ device: "cpu", weights, warmUp: false, audio: true, ...options });
    const failure = (promise) =>
      promise.then(
        () => "no failure",
        ({ name, code, message }) => ({ name, code, message }),
      );
    const pixel = (red) => ({ width: 1, height: 1, data: new Uint8Array([red, 0, 0, 255]) });
    const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    // Untouched by the browser: its filters take a tone for noise.
    const raw = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const microphone = () => navigator.mediaDevices.getUserMedia({ audio: raw });
    /** What has reached the module since the last time: calls, and all samples in their order. */
    const heardBy = async (lens) => {
      const { heard } = await lens.analyze(pixel(0), { single: true });
      const samples = heard.flatMap(({ samples }) => [...samples]);
      return { calls: heard.map(({ samples, timeMs }) => ({ timeMs, length: samples.length })), samples };
    };
    const play = async (src, attributes) => {
      const video = Object.assign(document.createElement("video"), { src, ...attributes });
      document.body.append(video);
      await video.play();
      return video;
    };
    /** The context that the package has opened last. */
    const contexts = [];
    globalThis.AudioContext = class extends AudioContext {
      constructor(options) {
        super(options);
        contexts.push(this);
      }
    };
    /** How many samples a second of the browser's own sound are heard: a busy machine makes less than a second of it in one. */
    const rateHeardBy = async (lens, ms) => {
      await heardBy(lens);
      const from = contexts.at(-1).currentTime;
      await wait(ms);
      const heard = await heardBy(lens);
      return { ...heard, rate: heard.samples.length / (contexts.at(-1).currentTime - from) };
    };
    Object.assign(globalThis, { load, hearing, failure, pixel, wait, microphone, heardBy, rateHeardBy, play });
  });
  return page;
}

/** The amplitude of a tone among samples. */
function amplitudeOf(hertz, samples) {
  let [cosine, sine] = [0, 0];
  samples.forEach((sample, index) => {
    const angle = (2 * Math.PI * hertz * index) / RATE;
    cosine += sample * Math.cos(angle);
    sine += sample * Math.sin(angle);
  });
  return (2 * Math.hypot(cosine, sine)) / samples.length;
}

/** Times that follow from one another to a thousandth of a second; a busy machine leaves out sound here and there. */
function assertGapless(calls) {
  const gaps = calls.slice(1).filter(({ timeMs }, index) => Math.abs(calls[index].timeMs + calls[index].length / 16 - timeMs) > 1);
  assert.ok(gaps.length <= 0.1 * calls.length, `${gaps.length} gaps in ${calls.length} calls, before ${gaps[0]?.timeMs} ms`);
}

/** One tone is as it was, the other one is gone. */
function assertOneTone(samples, loudness = AMPLITUDE) {
  // In 100 ms a jump between buffers of a fake microphone seldom lies.
  const parts = Array.from({ length: Math.floor(samples.length / 1600) }, (_, part) => samples.slice(1600 * part, 1600 * (part + 1)));
  const median = (hertz) => parts.map((part) => amplitudeOf(hertz, part)).sort((a, b) => a - b)[Math.floor(parts.length / 2)];
  assert.ok(Math.abs(median(HERTZ) - loudness) < 0.1 * loudness, `${HERTZ} Hz has ${median(HERTZ)}, expected ${loudness}`);
  // Where it would be heard without a filter.
  assert.ok(median(RATE - TOO_HIGH) < 0.003, `${RATE - TOO_HIGH} Hz has ${median(RATE - TOO_HIGH)}`);
}

describe("a microphone", LIMIT, () => {
  test("is heard at 16 kHz without a gap, on the clock of the pictures, and freed at the end", async (context) => {
    const seen = await page.evaluate(async () => {
      const lens = await hearing();
      const stream = await microphone();
      await lens.analyze(pixel(0), { timeMs: 50_000 });
      const analysed = performance.now();
      const levels = [];
      const listening = await lens.listen(stream, { own: true, onLevel: (level) => levels.push(level) });
      await wait(500);
      const started = performance.now();
      const heard = await rateHeardBy(lens, 4000);
      const { level, droppedMs } = listening;
      const expectedMs = 50_000 + started - analysed;
      listening.stop();
      listening.stop();
      const end = await listening.ended;
      const after = levels.length;
      await wait(300);
      const tracks = stream.getTracks().map(({ readyState }) => readyState);
      return { ...heard, level, droppedMs, expectedMs, end, more: levels.length - after, tracks, atEnd: listening.level, levels };
    });
    context.diagnostic(`${Math.round(seen.rate)} samples a second, ${seen.samples.length} in ${seen.calls.length} calls`);
    assert.ok(Math.abs(seen.rate / RATE - 1) < 0.02, `${seen.rate} samples a second`);
    assertGapless(seen.calls);
    assertOneTone(seen.samples);
    assert.ok(Math.abs(seen.calls[0].timeMs - seen.expectedMs) < 150, `${seen.calls[0].timeMs}, expected ${seen.expectedMs}`);
    assert.ok(Math.abs(seen.level - AMPLITUDE) < 0.1, `level ${seen.level}`);
    assert.ok(seen.levels.length > 100 && seen.levels.every((level) => level >= 0 && level <= 1));
    assert.deepEqual([seen.droppedMs, seen.end, seen.more, seen.atEnd], [0, "stopped", 0, 0]);
    assert.deepEqual(seen.tracks, ["ended"]);
  });

  test("where no stream is led to another rate, the worklet resamples", async () => {
    const seen = await page.evaluate(async () => {
      const { createMediaStreamSource } = AudioContext.prototype;
      const rates = [];
      AudioContext.prototype.createMediaStreamSource = function (stream) {
        rates.push(this.sampleRate);
        if (rates.length === 1) throw new DOMException("different sample-rate", "NotSupportedError");
        return createMediaStreamSource.call(this, stream);
      };
      const lens = await hearing();
      const listening = await lens.listen(await microphone(), { own: true });
      await wait(500);
      const heard = await rateHeardBy(lens, 3000);
      listening.stop();
      return { ...heard, rates };
    });
    assert.equal(seen.rates[0], RATE);
    assert.ok(seen.rates[1] >= 44_100, `${seen.rates}`);
    assert.ok(Math.abs(seen.rate / RATE - 1) < 0.02, `${seen.rate} samples a second`);
    assertGapless(seen.calls);
    assertOneTone(seen.samples);
  });

  test("waits while a picture is analysed, and loses nothing", async () => {
    const seen = await page.evaluate(async () => {
      const lens = await hearing();
      const listening = await lens.listen(await microphone(), { own: true, clock: () => performance.now() });
      await wait(300);
      await heardBy(lens);
      await lens.analyze(pixel(4), { timeMs: 0 });
      await wait(300);
      const heard = await heardBy(lens);
      const { droppedMs } = listening;
      listening.stop();
      return { calls: heard.calls, droppedMs };
    });
    assert.ok(seen.calls.some(({ length }) => length > 6_000), "what waited for a second came at once");
    assert.equal(seen.droppedMs, 0);
  });

  test("that is taken away is lost; what is only lent is left alone", async () => {
    const seen = await page.evaluate(async () => {
      const lens = await hearing();
      const stream = await microphone();
      const listening = await lens.listen(stream);
      listening.stop();
      const lent = stream.getAudioTracks()[0].readyState;
      const again = await lens.listen(stream);
      // As the browser does it: a stop from the page is told to nobody.
      const [track] = stream.getAudioTracks();
      track.stop();
      track.dispatchEvent(new Event("ended"));
      const end = await again.ended;
      return { lent, end, refused: await failure(lens.listen(stream)), none: await failure(lens.listen(new MediaStream())) };
    });
    assert.deepEqual([seen.lent, seen.end], ["live", "lost"]);
    assert.deepEqual([seen.refused.code, seen.refused.message], ["sound-empty", "the stream has no sound: its audio track has ended"]);
    assert.equal(seen.none.message, "the stream has no sound: get one with `getUserMedia({ audio: true })`");
  });

  test("is freed by a signal, by the end of the lens, and by another source", async () => {
    const seen = await page.evaluate(async () => {
      const lens = await hearing();
      const follow = async (signal) => {
        const stream = await microphone();
        const listening = await lens.listen(stream, { own: true, signal });
        return { listening, track: stream.getAudioTracks()[0] };
      };
      const told = async ({ listening, track }) => [await listening.ended, track.readyState];
      const controller = new AbortController();
      const first = await follow(controller.signal);
      controller.abort();
      const second = await follow();
      const third = await follow();
      const overtaken = await told(second);
      const isLive = third.track.readyState;
      lens.dispose();
      const aborted = new AbortController();
      aborted.abort();
      const other = await hearing();
      const unheard = await microphone();
      const never = await failure(other.listen(unheard, { own: true, signal: aborted.signal }));
      const early = await microphone();
      const starting = failure(other.listen(early, { own: true }));
      other.dispose();
      return {
        aborted: await told(first),
        overtaken,
        isLive,
        disposed: await told(third),
        never: [never.name, unheard.getAudioTracks()[0].readyState],
        starting: [(await starting).code, early.getAudioTracks()[0].readyState],
        after: (await failure(lens.listen(await microphone()))).code,
      };
    });
    assert.deepEqual(seen, {
      aborted: ["stopped", "ended"],
      overtaken: ["stopped", "ended"],
      isLive: "live",
      disposed: ["stopped", "ended"],
      never: ["AbortError", "ended"],
      starting: ["disposed", "ended"],
      after: "disposed",
    });
  });
});

describe("an element", LIMIT, () => {
  test("is heard at its own times while it plays, muted too, and stays audible", async () => {
    const seen = await page.evaluate(async () => {
      const lens = await hearing();
      const video = await play("/tones.webm", { muted: true });
      const listening = await lens.listen(video);
      await wait(300);
      await heardBy(lens);
      const from = video.currentTime;
      await wait(2000);
      const heard = await heardBy(lens);
      const to = video.currentTime;
      video.pause();
      await wait(300);
      await heardBy(lens);
      await wait(500);
      const paused = await heardBy(lens);
      video.currentTime = 5;
      await video.play();
      await wait(700);
      const moved = await heardBy(lens);
      video.playbackRate = 2;
      await wait(300);
      await heardBy(lens);
      await wait(500);
      const fast = await heardBy(lens);
      const { muted, volume } = video;
      listening.stop();
      return { ...heard, from, to, paused: paused.calls, moved: moved.calls, fast: fast.calls, muted, volume };
    });
    const [first] = seen.calls;
    const last = seen.calls.at(-1);
    assert.ok(Math.abs(first.timeMs - 1000 * seen.from) < 150, `${first.timeMs} at ${seen.from} s`);
    assert.ok(Math.abs(last.timeMs + last.length / 16 - 1000 * seen.to) < 150, `${last.timeMs} at ${seen.to} s`);
    assertGapless(seen.calls);
    assertOneTone(seen.samples);
    assert.deepEqual([seen.paused, seen.fast], [[], []], "nothing is made up while it stands still or plays at another speed");
    assert.ok(Math.abs(seen.moved.at(-1).timeMs - 5500) < 600, JSON.stringify(seen.moved));
    assert.deepEqual([seen.muted, seen.volume], [true, 1]);
  });

  test("is heard again after its end, and with another source", async () => {
    const seen = await page.evaluate(async () => {
      const lens = await hearing();
      const video = await play("/tones.webm", { muted: true });
      const listening = await lens.listen(video);
      /** The level once it is as loud or as still as is waited for; a busy machine takes its time. */
      const levelOnce = async (isReached) => {
        for (let turn = 0; turn < 100 && !isReached(listening.level); turn++) await wait(50);
        return listening.level;
      };
      const loud = () => levelOnce((level) => level > 0.3);
      const still = () => levelOnce((level) => level === 0);
      const levels = { first: await loud() };
      video.currentTime = 9.7;
      await new Promise((resolve) => video.addEventListener("ended", resolve, { once: true }));
      levels.ended = await still();
      await video.play();
      levels.again = await loud();
      video.src = "/tones.webm?other";
      levels.between = await still();
      await video.play();
      levels.other = await loud();
      listening.stop();
      return levels;
    });
    for (const when of ["ended", "between"]) assert.equal(seen[when], 0, JSON.stringify(seen));
    for (const when of ["first", "again", "other"]) assert.ok(seen[when] > 0.3, JSON.stringify(seen));
  });

  test("without captureStream is led through Web Audio once, and still leads to the loudspeaker", async () => {
    const seen = await page.evaluate(async () => {
      delete HTMLMediaElement.prototype.captureStream;
      const made = [];
      const ways = [];
      const { createMediaElementSource } = AudioContext.prototype;
      AudioContext.prototype.createMediaElementSource = function (element) {
        const node = createMediaElementSource.call(this, element);
        made.push(node);
        return node;
      };
      const { connect, disconnect } = AudioNode.prototype;
      AudioNode.prototype.connect = function (to, ...rest) {
        if (made.includes(this)) ways.push(to);
        return connect.call(this, to, ...rest);
      };
      AudioNode.prototype.disconnect = function (to) {
        if (made.includes(this)) ways.splice(0, Infinity, ...ways.filter((way) => to && way !== to));
        return disconnect.apply(this, arguments);
      };
      const lens = await hearing();
      const video = await play("/tones.webm");
      const audible = () => ways.filter((way) => way === made[0].context.destination).length;
      const first = await lens.listen(video);
      await wait(1500);
      const heard = await heardBy(lens);
      const during = audible();
      first.stop();
      const between = [audible(), ways.length, made[0].context.state];
      const second = await lens.listen(video);
      await wait(500);
      const again = (await heardBy(lens)).samples.length;
      second.stop();
      lens.dispose();
      return { ...heard, during, between, again, made: made.length, rate: made[0].context.sampleRate, atEnd: [audible(), made[0].context.state] };
    });
    assert.deepEqual([seen.during, seen.between, seen.atEnd], [1, [1, 1, "running"], [1, "running"]]);
    assert.equal(seen.made, 1);
    assert.ok(seen.rate >= 44_100, "its sound is not made worse");
    assert.ok(seen.again > 4000, `${seen.again}`);
    assertGapless(seen.calls.slice(1));
    assertOneTone(seen.samples.slice(3200));
  });

  test("without sound, with nothing to play or of another origin is explained", async () => {
    const failed = await page.evaluate(async (elsewhere) => {
      const lens = await hearing();
      const silent = await play("/silent.webm");
      const foreign = Object.assign(document.createElement("video"), { src: `${elsewhere}tones.webm` });
      const broken = Object.assign(document.createElement("audio"), { src: "/index.html" });
      return {
        silent: await failure(lens.listen(silent)),
        broken: await failure(lens.listen(broken)),
        foreign: await failure(lens.listen(foreign)),
      };
    }, elsewhere.url);
    assert.deepEqual(failed.silent, { name: "AffectLensError", code: "sound-empty", message: "the element plays something without sound" });
    assert.equal(failed.broken.code, "sound-empty");
    assert.match(failed.broken.message, /^the element has nothing to play: /);
    // The page's policy lets no media in from there.
    assert.equal(failed.foreign.code, "sound-empty");
    violations.length = 0;
  });

  test("of another origin is refused rather than heard as silence", async (context) => {
    const plain = await serve(folder, { headers: {} });
    context.after(() => plain.close());
    await page.goto(plain.url);
    const failed = await page.evaluate(async (elsewhere) => {
      const { load } = await import("/double/index.js");
      const lens = await load({ device: "cpu", weights: { voice: new ArrayBuffer(1) }, tasks: ["violence"], audio: true, warmUp: false });
      const video = Object.assign(document.createElement("video"), { src: `${elsewhere}tones.webm` });
      return lens.listen(video).catch(({ code, message }) => ({ code, message }));
    }, elsewhere.url);
    assert.equal(failed.code, "sound-tainted");
    assert.match(failed.message, /crossorigin="anonymous"/);
  });
});

describe("a file", LIMIT, () => {
  test("is heard along with the pictures from time 0, whatever holds it", async () => {
    const seen = await page.evaluate(async () => {
      const lens = await hearing();
      const blob = await (await fetch("/tones.wav")).blob();
      const buffer = await new OfflineAudioContext(1, 1, 44_100).decodeAudioData(await blob.arrayBuffer());
      const sources = { blob, file: new File([await (await fetch("/tones.webm")).blob()], "clip.webm"), buffer };
      const results = {};
      for (const [name, source] of Object.entries(sources)) {
        const levels = [];
        await lens.reset();
        const listening = await lens.listen(source, { onLevel: (level) => levels.push(level) });
        let end;
        void listening.ended.then((ended) => (end = ended));
        for (let timeMs = 0; timeMs < 11_000 && !end; timeMs += 1000) await lens.analyze(pixel(0), { timeMs });
        results[name] = { end, levels, ...(await heardBy(lens)) };
      }
      return results;
    });
    for (const [name, { end, levels, calls, samples }] of Object.entries(seen)) {
      assert.equal(end, "finished", name);
      assert.ok(Math.abs(samples.length - 10 * RATE) < 0.02 * 10 * RATE, `${name} has ${samples.length} samples`);
      assert.equal(calls[0].timeMs, 0, name);
      assertGapless(calls);
      assert.ok(calls.every(({ length }) => length <= RATE), name);
      assertOneTone(samples.slice(RATE / 2));
      assert.ok(Math.max(...levels) > 0.35 && Math.max(...levels) < 0.55, `${name}: ${levels}`);
    }
  });

  test("that is no sound is named, and one that the model refuses ends the listening", async () => {
    const seen = await page.evaluate(async () => {
      const lens = await hearing();
      const text = new File(["text"], "notes.txt", { type: "text/plain" });
      const failed = await failure(lens.listen(text));
      const loud = new AudioBuffer({ length: 16_000, sampleRate: 16_000 });
      loud.getChannelData(0).fill(1);
      const listening = await lens.listen(loud);
      await lens.analyze(pixel(0), { timeMs: 0 });
      return { failed, refused: await failure(listening.ended) };
    });
    assert.equal(seen.failed.code, "sound-empty");
    assert.equal(seen.failed.message, "the file `notes.txt` (text/plain, 4 bytes) has no sound that this browser can decode");
    assert.deepEqual([seen.refused.code, seen.refused.message], ["bad-argument", "too loud"]);
  });
});

test("the package is heard with from another origin, on an isolated page with a policy", LIMIT, async (context) => {
  const cdn = elsewhere.url.slice(0, -1);
  const policy = `default-src 'self'; script-src 'self' 'wasm-unsafe-eval' ${cdn}; connect-src ${cdn}; worker-src blob: ${cdn}`;
  const strict = await serve(folder, { headers: { ...ISOLATION, "Content-Security-Policy": policy } });
  context.after(() => strict.close());
  await page.goto(strict.url);
  const level = await page.evaluate(async (cdn) => {
    const { load } = await import(`${cdn}/double/index.js`);
    const lens = await load({ device: "cpu", weights: { voice: new ArrayBuffer(1) }, tasks: ["violence"], audio: true, warmUp: false });
    const listening = await lens.listen(await navigator.mediaDevices.getUserMedia({ audio: true }), { own: true });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const { level } = listening;
    lens.dispose();
    return level;
  }, cdn);
  assert.ok(level > 0, String(level));
});

describe("refusals", LIMIT, () => {
  test("a lens that was loaded without sound, other things, and wrong options", async () => {
    const seen = await page.evaluate(async () => {
      const deaf = await hearing({ audio: false });
      const lens = await hearing();
      const noVoice = await failure(load({ device: "cpu", weights: { detector: new ArrayBuffer(1) }, audio: true }));
      const codes = { sound: lens.sound, none: deaf.sound, noVoice };
      codes.deaf = await failure(deaf.listen(new MediaStream()));
      codes.string = await failure(lens.listen("voice.wav"));
      codes.image = await failure(lens.listen(new Image()));
      codes.own = await failure(lens.listen(new MediaStream(), { own: "yes" }));
      return codes;
    });
    assert.deepEqual([seen.sound, seen.none], [{ speech: true, expression: false, windowMs: null }, null]);
    assert.deepEqual([seen.noVoice.code, seen.noVoice.message], ["weights-missing", "weights have no `voice`, which `audio: true` needs"]);
    assert.equal(seen.deaf.message, "listen needs a lens that was loaded with `audio: true`");
    const expected = "expected MediaStream, HTMLVideoElement, HTMLAudioElement, AudioBuffer, Blob or File";
    assert.equal(seen.string.message, `source is "voice.wav", ${expected}`);
    assert.equal(seen.image.message, `source is HTMLImageElement, ${expected}`);
    assert.equal(seen.own.message, 'own is "yes", expected a boolean');
    for (const refused of ["deaf", "string", "image", "own"]) assert.equal(seen[refused].code, "bad-argument");
  });

  test("a worklet that is not there is named, and the microphone freed", async () => {
    const seen = await page.evaluate(async () => {
      const lens = await hearing({ workletUrl: "/nowhere.js" });
      const stream = await microphone();
      return { failed: await failure(lens.listen(stream, { own: true })), track: stream.getAudioTracks()[0].readyState };
    });
    assert.equal(seen.failed.code, "module-failed");
    assert.match(seen.failed.message, /does not load from http:\/\/127\.0\.0\.1:\d+\/nowhere\.js: .*; `workletUrl` gives another address$/);
    assert.equal(seen.track, "ended");
  });

  test("a browser that allows no sound yet says so", async () => {
    const failed = await page.evaluate(async () => {
      AudioContext.prototype.resume = () => new Promise(() => {});
      return failure((await hearing()).listen(await microphone(), { own: true }));
    });
    assert.equal(failed.code, "sound-blocked");
  });

  test("a model that is started anew hears on", async () => {
    const seen = await page.evaluate(async () => {
      const lens = await hearing();
      const listening = await lens.listen(await microphone(), { own: true });
      await wait(300);
      const lost = await failure(lens.analyze(pixel(1)));
      await lens.analyze(pixel(0));
      await wait(700);
      const heard = await heardBy(lens);
      const { level } = listening;
      listening.stop();
      return { lost: lost.code, heard: heard.samples.length, level };
    });
    assert.equal(seen.lost, "device-lost");
    assert.ok(seen.heard > 4000 && seen.level > 0.2, JSON.stringify(seen));
  });
});

for (const name of Object.keys(BROWSERS)) {
  test(`${name} hears a stream, an element and a file at 16 kHz`, { ...LIMIT, skip: whyNot(name) }, async (context) => {
    const { failure, noDevice, rate, stream, element, file } = await visitWith(name, server, { path: "hear.html" });
    assert.equal(failure, undefined, JSON.stringify(failure));
    if (noDevice) return context.skip("its Web Audio does not run here: it needs a sound device");
    for (const { tookMs, calls } of [stream, element]) {
      const samples = calls.flatMap(({ samples }) => samples);
      context.diagnostic(`${samples.length} samples in ${Math.round(tookMs)} ms, from a context of ${rate} Hz`);
      // A busy machine leaves out sound.
      const share = samples.length / (16 * tookMs);
      assert.ok(share > 0.5 && share < 1.05, `${samples.length} samples in ${tookMs} ms`);
      assertGapless(calls.map(({ samples, timeMs }) => ({ timeMs, length: samples.length })));
      assertOneTone(samples);
    }
    context.diagnostic(element.copied ? "the browser copies an element's sound" : "the element's sound is led through Web Audio");
    assert.equal(file.end, "finished");
    assertOneTone(file.calls.flatMap(({ samples }) => samples));
  });
}

test("nothing above needed more than the content security policy grants", () => {
  assert.deepEqual(violations, []);
});
