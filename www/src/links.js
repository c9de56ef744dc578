// @ts-check
// Where to read more: the sources, the documents, the package.

import about from "affectlens/package.json";
import modelCardUrl from "../../docs/model-card.md?url";
import weightsUrl from "../../docs/weights.md?url";
import usageUrl from "../../pkg-config/affectlens/README.md?url";

import { byId, makeElement } from "./elements.js";

/** The package that the page itself was made with. */
const PACKAGES = Object.values(import.meta.glob("../../pkg-config/dist/affectlens-[0-9]*.tgz", { query: "?url", import: "default", eager: true }));

/** Fills the list of links; sources only where the package names an address. */
export function showLinks() {
  const { homepage } = /** @type {{ homepage?: string }} */ (about);
  /** @type {[string, string | undefined][]} */
  const links = [
    ["Source code", homepage],
    ["How to use the package", usageUrl],
    ["Model card", modelCardUrl],
    ["Weights and where they come from", weightsUrl],
    [`The package (affectlens ${about.version}, for npm install)`, /** @type {string | undefined} */ (PACKAGES.at(-1))],
  ];
  byId("links").append(...links.flatMap(([text, url]) => (url ? [makeLink(text, url)] : [])));
}

/**
 * @param {string} text
 * @param {string} url
 */
function makeLink(text, url) {
  const item = makeElement("li");
  item.append(Object.assign(document.createElement("a"), { href: url, textContent: text }));
  return item;
}
