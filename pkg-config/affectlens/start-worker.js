// @ts-check
// Starts the package's workers, also where its files come from another origin than the page.

/**
 * Starts the module at `address` as a worker. A worker's own script must be of the page's origin, but the modules that it
 * imports need not be: a script from another origin is imported by one that is made here.
 *
 * @param {URL | string} address
 * @param {() => Worker} start how bundlers find the worker, for addresses of the page's origin
 * @returns {Worker}
 */
export function startWorker(address, start) {
  if (!isElsewhere(address)) return start();
  const script = new Blob([`import ${JSON.stringify(String(address))};`], { type: "text/javascript" });
  const url = URL.createObjectURL(script);
  const worker = new Worker(url, { type: "module" });
  // It is loaded by then; some browsers lose a script whose address is withdrawn earlier.
  for (const event of ["message", "error"]) worker.addEventListener(event, () => URL.revokeObjectURL(url), { once: true });
  return worker;
}

/**
 * Why a worker does not start, and what to do about it.
 *
 * @param {URL | string} address
 * @param {string} [reason] the browser's own
 */
export function explainStart(address, reason) {
  const failure = `the worker does not start: ${reason || `its script cannot be loaded from ${address}`}`;
  if (!isElsewhere(address) && !/origin/i.test(reason ?? "")) return failure;
  const { origin } = new URL(address);
  return (
    `${failure}; files from another origin need its permission (Access-Control-Allow-Origin), and where the page has a ` +
    `Content-Security-Policy, \`worker-src blob: ${origin}\`; or serve the package from the page's own origin and give its \`workerUrl\``
  );
}

/** @param {URL | string} address */
function isElsewhere(address) {
  const { protocol, origin } = new URL(address);
  return /^https?:$/.test(protocol) && origin !== self.origin;
}
