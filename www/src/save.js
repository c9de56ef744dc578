// @ts-check
// Saving the reports of the session.

import { toCsv, toJsonLines } from "affectlens/export";

import { byId } from "./elements.js";
import { tasksOf } from "./model.js";

/** @typedef {{ log: import("./log.js").ReportLog, sourceName: string, threshold: number }} Saved `threshold` of violence */

/** The buttons that save, and how much there is to save. */
export class SavePanel {
  #kept = byId("kept");
  #buttons = [byId("save-json", HTMLButtonElement), byId("save-csv", HTMLButtonElement)];

  /** @param {() => Saved} read called when a button is pressed */
  constructor(read) {
    const [json, csv] = this.#buttons;
    json.addEventListener("click", () => {
      const { log, threshold } = read();
      saveText("affectlens.jsonl", "application/jsonl", toJsonLines(log.reports, { threshold }));
    });
    csv.addEventListener("click", () => {
      const { log, sourceName, threshold } = read();
      // Rows of people stand beside those of faces only where bodies were looked for.
      const tasks = tasksOf(log.reports.some(({ people }) => people));
      saveText("affectlens.csv", "text/csv", toCsv(log.reports, { file: sourceName, tasks, threshold }));
    });
  }

  /** @param {import("./log.js").ReportLog} log */
  show({ reports, forgotten }) {
    for (const button of this.#buttons) button.disabled = reports.length === 0;
    const dropped = forgotten > 0 ? `, the oldest ${forgotten} were dropped` : "";
    this.#kept.textContent = reports.length === 0 ? "No reports to save yet." : `${describeCount(reports.length)} kept in this tab${dropped}.`;
  }
}

/** @param {number} reports */
function describeCount(reports) {
  return reports === 1 ? "1 report" : `${reports} reports`;
}

/**
 * @param {string} name
 * @param {string} type
 * @param {string} text
 */
function saveText(name, type, text) {
  saveFile(name, new Blob([text], { type }));
}

/**
 * @param {string} name
 * @param {Blob} content
 */
export function saveFile(name, content) {
  const url = URL.createObjectURL(content);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
