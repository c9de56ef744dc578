// @ts-check
// Boxes, labels and meshes of faces.

import { DEFAULT_FONT } from "./draw-surface.js";

/**
 * @typedef {import("./draw.js").Surface} Surface
 * @typedef {import("./draw.js").FaceStyle} FaceStyle
 * @typedef {import("./index.js").FaceReport} FaceReport
 */

/** Light enough to be seen on a picture, beside an edge that is dark. */
const COLOURS = {
  neutral: "#e5e9e7",
  anger: "#ff7b72",
  disgust: "#a8dc3c",
  fear: "#c4a5ff",
  happiness: "#ffc533",
  sadness: "#83b0ff",
  surprise: "#4fd6ea",
  other: "#d9cfc2",
  contempt: "#ff9dce",
};
/** CSS pixels. */
const [LABEL_HEIGHT, LABEL_PADDING] = [22, 6];

/**
 * @param {Surface} surface
 * @param {readonly FaceReport[]} faces
 * @param {Pick<FaceStyle, "colour" | "chosen">} [style]
 */
export function drawBoxes(surface, faces, { colour = colourOf, chosen } = {}) {
  const { context } = surface;
  for (const face of faces) {
    const [left, top, width, height] = boxOf(surface, face.box);
    const thickness = face.id === chosen ? 3 : 2;
    context.strokeStyle = "rgb(0 0 0 / 0.6)";
    context.lineWidth = thickness + 2;
    context.strokeRect(left, top, width, height);
    context.strokeStyle = colour(face);
    context.lineWidth = thickness;
    context.strokeRect(left, top, width, height);
  }
}

/**
 * @param {Surface} surface
 * @param {readonly FaceReport[]} faces
 * @param {Pick<FaceStyle, "label" | "font">} [style]
 */
export function drawLabels(surface, faces, { label = labelOf, font = DEFAULT_FONT } = {}) {
  const { context } = surface;
  context.font = font;
  context.textAlign = "left";
  context.textBaseline = "middle";
  for (const face of faces) {
    const text = label(face);
    if (!text) continue;
    const [left, top] = boxOf(surface, face.box);
    const width = context.measureText(text).width + 2 * LABEL_PADDING;
    // Inside the canvas, where the face reaches over its edge.
    const textLeft = Math.max(0, Math.min(left - 1, surface.width - width));
    const textTop = top >= LABEL_HEIGHT + 2 ? top - LABEL_HEIGHT - 2 : Math.max(0, top);
    context.fillStyle = "rgb(0 0 0 / 0.78)";
    context.fillRect(textLeft, textTop, width, LABEL_HEIGHT);
    context.fillStyle = "#fff";
    context.fillText(text, textLeft + LABEL_PADDING, textTop + LABEL_HEIGHT / 2 + 0.5);
  }
}

/**
 * Draws the points of the meshes of those faces that have one: the setting `landmarks` gives them.
 *
 * @param {Surface} surface
 * @param {readonly FaceReport[]} faces
 */
export function drawMesh({ context, place }, faces) {
  const points = faces.flatMap(({ landmarks = [] }) => landmarks.map(([x, y]) => place(x, y)));
  // Light dots with a dark edge are seen on light and dark skin.
  for (const [side, fill] of /** @type {const} */ ([[2.4, "rgb(0 0 0 / 0.55)"], [1.4, "#fff"]])) {
    context.fillStyle = fill;
    for (const [x, y] of points) context.fillRect(x - side / 2, y - side / 2, side, side);
  }
}

/**
 * Left, top, width and height of a box on the canvas.
 *
 * @param {Surface} surface
 * @param {readonly [number, number, number, number]} box picture pixels
 */
function boxOf({ place, scaleX, scaleY, mirrored }, [x, y, width, height]) {
  const [left, top] = place(mirrored ? x + width : x, y);
  return [left, top, width * scaleX, height * scaleY];
}

/** @param {FaceReport} face */
function colourOf({ expression }) {
  return COLOURS[expression?.label ?? "neutral"];
}

/** @param {FaceReport} face */
function labelOf({ id, expression }) {
  return expression ? `#${id} ${expression.label} ${Math.round(expression.confidence * 100)} %` : `#${id}`;
}
