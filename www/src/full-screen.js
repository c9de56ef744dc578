// @ts-check
// The picture and its controls on the whole screen, where the browser offers that.

import { byId, setText } from "./elements.js";

export function offerFullScreen() {
  const [player, button] = [byId("player"), byId("full-screen", HTMLButtonElement)];
  button.hidden = !document.fullscreenEnabled;
  button.addEventListener("click", () => {
    // What the browser refuses leaves the page as it is.
    const done = document.fullscreenElement ? document.exitFullscreen() : player.requestFullscreen();
    done.catch(() => {});
  });
  document.addEventListener("fullscreenchange", () => {
    setText(button, document.fullscreenElement ? "Leave full screen" : "Full screen");
  });
}
