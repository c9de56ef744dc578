// Pages without a toolchain, and the components in the package's README.

import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const apps = join(import.meta.dirname, "apps");
const README = resolve(import.meta.dirname, "../../../pkg-config/affectlens/README.md");

/** Writes a page that finds the packages at these addresses. */
export function plainPage(folder, name, { affectlens, weights }) {
  const look = readFileSync(join(apps, "look.js"), "utf8");
  const found = look.replace('"affectlens"', JSON.stringify(affectlens)).replace('"affectlens-weights"', JSON.stringify(weights));
  writeFileSync(join(folder, `${name}.js`), `${found}\nvoid look();\n`);
  writeFileSync(join(folder, `${name}.html`), `<!doctype html><title>${name}</title><script type="module" src="/${name}.js"></script>`);
}

/** The README's only example in a language. */
export function exampleIn(language) {
  const [, text] = readFileSync(README, "utf8").split(`\`\`\`${language}\n`);
  return text.slice(0, text.indexOf("```"));
}
