// Runs in a page of any browser: loads the package, analyses a picture and sixty frames, and sends what it found
// to the page's server. The address says how: ?device=cpu&threads=1&frames=60&workerUrl=/plain.js&video=1&again=1

const TASKS = ["expression", "action-units"];
const [WIDTH, HEIGHT] = [320, 240];

const query = new URLSearchParams(location.search);
const frames = Number(query.get("frames") ?? 60);

async function look() {
  const { load } = await import("/library/index.js");
  const threads = Number(query.get("threads") ?? 1);
  const workerUrl = query.get("workerUrl") ?? undefined;
  const device = query.get("device") ?? "cpu";
  const lens = await load({ device, tasks: TASKS, weights: "/weights/", threads, workerUrl });
  const picture = await lens.analyze(Object.assign(new Image(), { src: "/face.png" }), { timeMs: 0 });
  await lens.reset();
  const bytes = new Uint8ClampedArray(await (await fetch("/frames.rgba")).arrayBuffer());
  const length = WIDTH * HEIGHT * 4;
  const reports = [];
  const started = performance.now();
  for (let frame = 0; frame < frames; frame++) {
    const pixels = new ImageData(bytes.slice(frame * length, (frame + 1) * length), WIDTH, HEIGHT);
    reports.push(await lens.analyze(pixels, { timeMs: 40 * frame }));
  }
  const frameMs = (performance.now() - started) / frames;
  await lens.reset();
  const video = query.has("video") ? await lookAtVideo(lens) : undefined;
  const { requestsAfterLoad, timings } = lens;
  lens.dispose();
  // After one lens another one starts, from scripts that the browser has kept.
  if (query.has("again")) (await load({ device, weights: "/weights/", threads, workerUrl, warmUp: false })).dispose();
  return { picture, reports, frameMs, video, device: lens.device, requestsAfterLoad, loadMs: timings.loadMs, isolated: crossOriginIsolated };
}

/** @param {import("affectlens").Lens} lens */
async function lookAtVideo(lens) {
  const video = Object.assign(document.createElement("video"), { muted: true, src: "/face.webm" });
  await new Promise((resolve, reject) => {
    video.onloadeddata = resolve;
    video.onerror = () => reject(video.error);
  });
  return lens.analyze(video);
}

let found;
try {
  found = await look();
} catch (error) {
  const { code, message, stack } = error;
  found = { failure: { code, message, stack } };
}
await fetch("/result", { method: "POST", body: JSON.stringify(found) });
