// @ts-check
// Code that does with the package what the page does now.

/**
 * @typedef {{
 *   tasks: readonly string[],
 *   device: string,
 *   isListening: boolean,
 *   settings: Partial<import("affectlens").Settings>,
 * }} Wanted `settings`: those that are not the defaults
 */

/**
 * A module for a page with a `<video>`.
 *
 * @param {Wanted} wanted
 */
export function makeSnippet({ tasks, device, isListening, settings }) {
  const options = [
    `tasks: ${JSON.stringify(tasks).replaceAll(",", ", ")}`,
    ...(device === "auto" ? [] : [`device: ${JSON.stringify(device)}`]),
    ...(isListening ? ["audio: true"] : []),
    "weights",
  ];
  const changes = Object.entries(settings).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  return [
    `// npm install affectlens affectlens-weights`,
    `import { load } from "affectlens";`,
    `import { watch } from "affectlens/watch";`,
    `import weights from "affectlens-weights";`,
    ``,
    `const lens = await load({`,
    ...options.map((option) => `  ${option},`),
    `});`,
    ...(changes.length > 0 ? [`await lens.configure({ ${changes.join(", ")} });`] : []),
    ``,
    `const video = document.querySelector("video");`,
    ...(isListening ? [`await lens.listen(video);`] : []),
    `watch(lens, video, { onReport: (report) => console.log(report) });`,
    ``,
  ].join("\n");
}
