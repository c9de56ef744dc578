// @ts-check
// Where to read more: the sources, the documents, the package.

import about from "affectlens/package.json";

import { byId, makeElement } from "./elements.js";

/** The package that the page itself was made with. */
const PACKAGES = Object.values(import.meta.glob("../../pkg-config/dist/affectlens-[0-9]*.tgz", { query: "?url", import: "default", eager: true }));

/** Fills the list of links; sources only where the package names an address. */
export function showLinks() {
  const { homepage } = /** @type {{ homepage?: string }} */ (about);
  /** @type {[string, string | undefined][]} */
  const links = [
    ["Source code", homepage],
    ["Documentation", "docs/"],
    ["How to use the package", "docs/documents/The_package.html"],
    ["Model card", "docs/documents/Model_card__the_built-in_heads.html"],
    ["Weights and where they come from", "docs/documents/Weights.html"],
    ["Privacy and law", "docs/documents/Guide__privacy_and_law.html"],
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
