// Runs beside the built page in any browser: shows the sample, stops it, asks for a camera, and sends what it found to the
// page's server. For browsers without a protocol for automation.

const STEP_MS = 100;
const LIMIT_MS = 60_000;

const trouble = [];
addEventListener("error", ({ message }) => trouble.push(message));
addEventListener("unhandledrejection", ({ reason }) => trouble.push(String(reason)));

/** What `read` gives once it is there. */
async function when(what, read) {
  for (let waitedMs = 0; waitedMs < LIMIT_MS; waitedMs += STEP_MS) {
    const value = read();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
  throw new Error(`${what} did not come: ${document.querySelector("#notice")?.textContent}`);
}

const counters = () => window.__affectlens?.counters;
const press = (id) => document.getElementById(id).click();

async function visit() {
  await when("the model", () => counters()?.isLoaded);
  press("use-clip");
  await when("a face", () => counters().analysed >= 5 && counters().latest?.faces.length === 1);
  const { device, requests, latest } = counters();
  const shown = document.querySelector("#faces .label").textContent;
  press("stop");
  press("use-camera");
  await when("a camera or the reason why not", () => counters().showing === "camera" || counters().trouble);
  const { showing, trouble: state } = counters();
  return { device, requests, latest, shown, showing, state, notice: document.querySelector("#notice").textContent };
}

let found;
try {
  found = await visit();
} catch (error) {
  found = { failure: error.message };
}
await fetch("/result", { method: "POST", body: JSON.stringify({ ...found, trouble }) });
