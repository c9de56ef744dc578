// The documentation beside the page: every link within it leads somewhere, and it runs under its policy.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Browsers, serve } from "./harness.mjs";

const browsers = new Browsers();
const server = await serve();
test.after(() => Promise.all([browsers.close(), server.close()]));

test("links of the documentation lead somewhere", async (context) => {
  const { page } = await browsers.newPage(context);
  await page.goto(`${server.url}docs`);
  assert.equal(page.url(), `${server.url}docs/`);
  const { pages, dead } = await page.evaluate(findDeadLinks);
  assert.deepEqual(dead, []);
  assert.ok(pages > 100, `${pages} pages`);
});

test("the documentation runs under its policy: search finds, nothing is refused", async (context) => {
  const { page } = await browsers.newPage(context);
  const trouble = [];
  page.on("console", (message) => message.type() === "error" && trouble.push(message.text()));
  page.on("pageerror", (error) => trouble.push(String(error)));
  await page.goto(`${server.url}docs/documents/Performance.html`);
  await page.click("#tsd-search-trigger");
  await page.fill("#tsd-search-input", "openCamera");
  await page.waitForSelector("#tsd-search-results a");
  assert.match(await page.textContent("#tsd-search-results"), /openCamera/);
  assert.deepEqual(trouble, []);
});

/** In the page: follows every link to the same server, anchors included. */
async function findDeadLinks() {
  const start = new URL("./index.html", location.href).href;
  const found = new Map();
  const wanted = [{ from: "the start", url: start }];
  const dead = [];
  const read = async (address) => {
    const response = await fetch(address);
    const isPage = response.headers.get("content-type")?.startsWith("text/html");
    return { ok: response.ok, document: isPage ? new DOMParser().parseFromString(await response.text(), "text/html") : null };
  };
  for (const { from, url } of wanted) {
    const { hash, href } = new URL(url);
    const address = href.replace(hash, "");
    if (!found.has(address)) {
      const { ok, document } = await read(address);
      const ids = new Set([...(document?.querySelectorAll("[id]") ?? [])].map(({ id }) => id));
      found.set(address, { ok, ids });
      for (const element of document?.querySelectorAll("a[href], img[src], link[href], script[src]") ?? []) {
        const to = new URL(element.getAttribute("href") ?? element.getAttribute("src"), address);
        if (to.origin === location.origin) wanted.push({ from: address, url: to.href });
      }
    }
    const { ok, ids } = found.get(address);
    if (!ok || (hash && ids.size && !ids.has(decodeURIComponent(hash.slice(1))))) dead.push(`${from}: ${url}`);
  }
  return { pages: found.size, dead };
}
