// The page where it cannot start as usual: it says so, and nobody waits for it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openBrowser, serve } from "./harness.mjs";

const LIMIT = { timeout: 120_000 };

let server;
let browser;

before(async () => {
  server = await serve();
  browser = await openBrowser();
}, LIMIT);

after(async () => {
  await browser?.close();
  await server?.close();
});

async function visit(context, options) {
  const visitor = await browser.newContext(options);
  context.after(() => visitor.close());
  return visitor.newPage();
}

for (const language of ["C", "", undefined, "not a language"]) {
  test(`a browser whose language is ${JSON.stringify(language)} shows the page`, LIMIT, async (context) => {
    const page = await visit(context);
    const script = `Object.defineProperty(Navigator.prototype, "language", { get: () => ${JSON.stringify(language)} })`;
    await page.addInitScript(script);
    await page.goto(`${server.url}?device=cpu`);
    await page.waitForFunction(() => window.__affectlens?.counters, undefined, { timeout: 30_000 });
    assert.equal(await page.isHidden("#notice"), true);
  });
}

test("without JavaScript the page says that it needs it, and loads nothing for ever", LIMIT, async (context) => {
  const page = await visit(context, { javaScriptEnabled: false });
  await page.goto(server.url);
  assert.match(await page.locator("noscript .notice").textContent(), /needs JavaScript/);
  assert.equal(await page.isVisible("noscript .notice"), true);
  assert.equal(await page.isHidden("#loading"), true);
  assert.equal(await page.textContent("#badge"), "not started");
});

test("a page whose scripts are not there says that it does not start", LIMIT, async (context) => {
  const page = await visit(context);
  await page.route(/assets\/main-.*\.js/, (route) => route.fulfill({ status: 404 }));
  await page.goto(server.url);
  await page.waitForSelector("#notice:not([hidden])");
  assert.match(await page.textContent("#notice"), /^The page does not start in this browser: .+\. Load it again/);
  assert.equal(await page.isHidden("#loading"), true);
});

test("a page that fails while it starts says why", LIMIT, async (context) => {
  const page = await visit(context);
  await page.addInitScript("delete globalThis.ResizeObserver");
  await page.goto(server.url);
  await page.waitForSelector("#notice:not([hidden])");
  assert.match(await page.textContent("#notice"), /^The page does not start in this browser: ResizeObserver is not defined/);
});
