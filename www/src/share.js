// @ts-check
// The panel with code for the package, and the buttons that copy it or the page's address.

import { byId, setText } from "./elements.js";
import { makeSnippet } from "./snippet.js";

/** The code, and what copies. */
export class SharePanel {
  #snippet = byId("snippet");
  #copied = byId("copied");

  constructor() {
    byId("copy-snippet").addEventListener("click", () => this.#copy(this.#snippet.textContent ?? "", "The code"));
    byId("copy-address").addEventListener("click", () => this.#copy(location.href, "The link"));
  }

  /** @param {import("./snippet.js").Wanted} wanted */
  show(wanted) {
    setText(this.#snippet, makeSnippet(wanted));
  }

  /**
   * @param {string} text
   * @param {string} what
   */
  async #copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
      this.#copied.textContent = `${what} is copied.`;
    } catch {
      this.#copied.textContent = `${what} cannot be copied here: this browser does not allow it.`;
    }
  }
}
