// What a browser hears of two tones, from a stream and from a playing element. The page sends it to its server.

import { load } from "/double/index.js";

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function hear() {
  const weights = Object.fromEntries(["detector", "backbone", "head", "voice"].map((role) => [role, new ArrayBuffer(1)]));
  const lens = await load({ device: "cpu", weights, warmUp: false, audio: true });
  const picture = { width: 1, height: 1, data: new Uint8Array([0, 0, 0, 255]) };
  const heard = async () => (await lens.analyze(picture, { single: true })).heard;
  const follow = async (source) => {
    const listening = await lens.listen(source);
    await wait(700);
    await heard();
    const started = performance.now();
    await wait(2500);
    const calls = await heard();
    const tookMs = performance.now() - started;
    listening.stop();
    return { tookMs, calls: calls.map(({ samples, timeMs }) => ({ samples: [...samples], timeMs })) };
  };

  const context = new AudioContext();
  const destination = context.createMediaStreamDestination();
  for (const frequency of [440, 12_000]) {
    const tone = new OscillatorNode(context, { frequency });
    tone.connect(new GainNode(context, { gain: 0.4 })).connect(destination);
    tone.start();
  }
  // Without a sound device some browsers' contexts never run.
  const runs = await Promise.race([context.resume().then(() => true), wait(5_000)]);
  if (!runs) return { noDevice: true };
  const stream = await follow(destination.stream);

  const video = Object.assign(document.createElement("video"), { src: "/tones.webm" });
  await video.play();
  const element = await follow(video);
  element.copied = "captureStream" in video;
  const listening = await lens.listen(await (await fetch("/tones.wav")).blob());
  for (let timeMs = 0; timeMs <= 10_000; timeMs += 1000) await lens.analyze(picture, { timeMs });
  const decoded = await listening.ended;
  const file = { calls: (await heard()).map(({ samples, timeMs }) => ({ samples: [...samples], timeMs })), end: decoded };
  return { rate: context.sampleRate, stream, element, file };
}

const seen = await hear().catch(({ name, code, message, stack }) => ({ failure: { name, code, message, stack } }));
await fetch("/result", { method: "POST", body: JSON.stringify(seen) });
