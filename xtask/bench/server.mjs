// @ts-check
// Serves a few folders under one origin, isolated as shared memory asks for.

import { createReadStream, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/**
 * @param {Record<string, string>} folders first part of the path -> folder
 * @param {Record<string, Record<string, string>>} named first part of the path -> package that its modules import by
 *   name -> address; workers have no import maps
 */
export async function serve(folders, named) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const [, mount, ...rest] = normalize(decodeURIComponent(pathname)).split("/");
    const file = join(folders[mount] ?? "/nowhere", ...rest);
    try {
      const text = named[mount] && file.endsWith(".js") ? addressed(readFileSync(file, "utf8"), named[mount]) : undefined;
      response.writeHead(200, {
        "Content-Length": text === undefined ? statSync(file).size : Buffer.byteLength(text),
        "Content-Type": TYPES[/** @type {keyof typeof TYPES} */ (extname(file))] ?? "application/octet-stream",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Opener-Policy": "same-origin",
      });
      if (text === undefined) createReadStream(file).pipe(response);
      else response.end(text);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}

/** @param {string} text of a module @param {Record<string, string>} packages name -> address */
function addressed(text, packages) {
  const replace = (/** @type {string} */ text, /** @type {[string, string]} */ [name, address]) =>
    text.replaceAll(`from "${name}"`, `from "${address}"`);
  return Object.entries(packages).reduce(replace, text);
}
