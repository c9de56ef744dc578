// @ts-check
// Where a file of the package lies after a bundler, and what to do where the bundler has lost it.

/** Vite 7 and older bundle packages into this folder while they develop, and leave all else where it was. */
const BUNDLED_BY_VITE = /\/node_modules\/\.vite\/deps\/(?=[^/]*$)/;

/**
 * The address of one of the package's files.
 *
 * @param {string | URL} found `new URL("./file", import.meta.url)`, as a bundler has left it
 */
export function whereItLies(found) {
  return String(found).replace(BUNDLED_BY_VITE, "/node_modules/affectlens/");
}

/**
 * Whether a server has no such file and shows a page instead, as servers of single-page applications do.
 *
 * @param {Response} response
 */
export function isPage({ headers }) {
  return /^text\/html\b/i.test(headers.get("Content-Type") ?? "");
}

/**
 * What to do about a file that is not at its address.
 *
 * @param {string} option that gives another address
 * @param {string} [address]
 */
export function leftBehind(option, address = "") {
  if (/\/node_modules\//.test(address)) {
    const excluded = '`optimizeDeps: { exclude: ["affectlens", "affectlens-weights"] }`';
    return `a development server of Vite that keeps packages elsewhere needs ${excluded}; others the address of the file, \`${option}\``;
  }
  return `bundlers that leave it behind need \`import "affectlens/inline"\`, and servers that move it its new address, \`${option}\``;
}
