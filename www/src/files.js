// @ts-check
// Files of the visitor: chosen with the button, or dropped anywhere on the page.

import { byId } from "./elements.js";

/** @param {(file: File) => void} onFile */
export function acceptFiles(onFile) {
  acceptChosenFiles(onFile);
  acceptDroppedFiles(onFile);
}

/** @param {(file: File) => void} onFile */
function acceptChosenFiles(onFile) {
  const input = byId("file", HTMLInputElement);
  byId("use-file").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files?.[0]) onFile(input.files[0]);
    // The same file may be chosen again.
    input.value = "";
  });
}

/** @param {(file: File) => void} onFile */
function acceptDroppedFiles(onFile) {
  const hint = byId("drop-hint");
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    hint.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) hint.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    hint.hidden = true;
    const file = event.dataTransfer?.files[0];
    if (file) onFile(file);
  });
}
