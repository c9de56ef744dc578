// @ts-check
// What was measured on a machine, as it stands behind the # of an address: browsers do not send that part.

/**
 * @typedef {{ loadMs: number, firstMs: number, steadyMs: number }} Times
 * @typedef {{ cpu?: Times, webgpu?: Times, machine: string, version: string }} Measured a device without times was not there
 */

const DEVICES = /** @type {const} */ (["cpu", "webgpu"]);
const TIMES = /** @type {const} */ (["loadMs", "firstMs", "steadyMs"]);
/** An hour: nobody waits for longer. */
const MOST_MS = 3_600_000;
const MOST_TEXT = 160;

/**
 * What an address tells; nothing where it tells nothing, or nothing that is understood.
 *
 * @param {string} hash
 * @returns {Measured | undefined}
 */
export function readMeasured(hash) {
  const told = new URLSearchParams(hash.replace(/^#/, ""));
  const [machine, version] = [told.get("machine"), told.get("version")];
  if (!machine || !version || machine.length > MOST_TEXT || version.length > MOST_TEXT) return undefined;
  /** @type {Measured} */
  const measured = { machine, version };
  for (const device of DEVICES) {
    const text = told.get(device);
    if (text === null) continue;
    const times = text.split(",").map((part) => (/^\d+(\.\d+)?$/.test(part) ? Number(part) : NaN));
    if (times.length !== TIMES.length || !times.every((time) => time <= MOST_MS)) return undefined;
    measured[device] = { loadMs: times[0], firstMs: times[1], steadyMs: times[2] };
  }
  return measured.cpu || measured.webgpu ? measured : undefined;
}

/** @param {Measured} measured */
export function writeMeasured({ machine, version, ...devices }) {
  const told = new URLSearchParams();
  for (const device of DEVICES) {
    const times = devices[device];
    if (times) told.set(device, TIMES.map((name) => times[name].toFixed(1)).join(","));
  }
  told.set("machine", machine.slice(0, MOST_TEXT));
  told.set("version", version);
  return `#${told}`;
}

/**
 * The browser, the system and what they run on, as far as the browser tells.
 *
 * @param {{ userAgent: string, hardwareConcurrency: number }} navigator
 * @param {string | undefined} adapter
 */
export function describeMachine({ userAgent, hardwareConcurrency }, adapter) {
  const browser = /(Firefox|Edg|OPR|Chrome|Version)\/\d+/.exec(userAgent)?.[0].replace("Version", "Safari").replace("/", " ");
  const system = /\(([^;)]+)(?:; ([^;)]+))?/.exec(userAgent)?.slice(1).filter(Boolean).join(" ");
  const parts = [browser, system, `${hardwareConcurrency} threads`, adapter];
  return parts.filter(Boolean).join(", ").slice(0, MOST_TEXT);
}
