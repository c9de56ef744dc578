// @ts-check
// Starts the page, and says so if it does not start: nobody waits for a page that is broken.

import { repairLanguage } from "./language.js";
import "./style.css";

repairLanguage();
import("./main.js").catch(show);

/** @param {unknown} error */
function show(error) {
  const reason = error instanceof Error ? error.message : String(error);
  const notice = document.getElementById("notice");
  const badge = document.getElementById("badge");
  if (!notice || !badge) return;
  notice.textContent = `The page does not start in this browser: ${reason}. Load it again, or try a newer browser.`;
  notice.hidden = false;
  badge.textContent = "not started";
}
