// Firefox and WebKitGTK give the command line's reports on whole files, or say why they cannot.

import assert from "node:assert/strict";
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { makeSite, serve } from "./harness.mjs";
import { BROWSERS, visitWith, whyNot } from "./other-browsers.mjs";
import { FRAMES, NAMES, READER, READER_HEADERS, TASKS, analyze, compare, makeClips } from "./whole-files.mjs";

const LIMIT = { timeout: 180_000 };
/** Firefox hands frames out in red, green and blue, by BT.709 where a file tells nothing of its colours: a slightly other tint. */
const FACTORS = { Firefox: 15, WebKitGTK: 1 };

const folder = makeSite();
let server;

before(async () => {
  if (Object.keys(BROWSERS).every(whyNot)) return;
  makeClips(folder);
  cpSync(join(import.meta.dirname, "analyse-files.js"), join(folder, "analyse-files.js"));
  writeFileSync(join(folder, "index.html"), `<!doctype html><title>whole files</title>${READER}<script type="module" src="/analyse-files.js"></script>`);
  server = await serve(folder, { headers: READER_HEADERS });
}, LIMIT);

after(() => server?.close());

for (const name of Object.keys(BROWSERS)) {
  test(`${name} has the command line's reports of whole files, or says why not`, { ...LIMIT, skip: whyNot(name) }, async (context) => {
    const path = `?threads=2&tasks=${TASKS}&files=${NAMES}`;
    const seen = await visitWith(name, server, { path, limitMs: 150_000 });
    assert.equal(seen.failure, undefined, JSON.stringify(seen.failure));
    for (const file of NAMES) {
      const { failure, reports, ms } = seen[file];
      if (failure) {
        // What this browser's build cannot decode is no fault of the package.
        assert.equal(failure.code, "video-unsupported", `${file}: ${failure.message}`);
        context.diagnostic(`${file}: ${failure.message}`);
        continue;
      }
      const wanted = analyze(join(folder, file), TASKS);
      assert.equal(wanted.length, FRAMES);
      context.diagnostic(`${file} in ${(ms / 1000).toFixed(1)} s: ${compare(reports, wanted, FACTORS[name])}`);
    }
  });
}
