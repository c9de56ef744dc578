// Runs in a page of any browser: analyses the files that the address names, whole, and sends the reports of each, or why there are
// none, to the page's server. The address: ?threads=1&tasks=expression,violence&files=a.mp4,b.webm

const query = new URLSearchParams(location.search);
const list = (/** @type {string} */ name) => (query.get(name) ?? "").split(",");

async function look() {
  const [{ load }, { analyzeFile }] = await Promise.all([import("/library/index.js"), import("/library/file.js")]);
  const lens = await load({ device: "cpu", threads: Number(query.get("threads")), tasks: /** @type {any} */ (list("tasks")), weights: "/weights/" });
  const found = {};
  for (const name of list("files")) {
    const started = performance.now();
    try {
      const reports = await analyzeFile(await (await fetch(`/${name}`)).blob(), lens);
      found[name] = { reports, ms: performance.now() - started };
    } catch ({ code, message }) {
      found[name] = { failure: { code, message } };
    }
  }
  lens.dispose();
  return found;
}

let found;
try {
  found = await look();
} catch ({ code, message, stack }) {
  found = { failure: { code, message, stack } };
}
await fetch("/result", { method: "POST", body: JSON.stringify(found) });
