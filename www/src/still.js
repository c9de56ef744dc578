// @ts-check
// The picture of a file, decoded.

import { SourceError } from "./media.js";

/** Half of what the lens takes: a picture costs it up to ten bytes for each pixel. */
const MOST_PIXELS = 2 ** 25;

/**
 * @param {Blob} file
 * @param {string} name that a failure tells
 * @returns {Promise<ImageBitmap>} smaller than in the file, if that is very large
 */
export async function decodePicture(file, name) {
  try {
    const picture = await createImageBitmap(file);
    const { width, height } = picture;
    const scale = Math.sqrt(MOST_PIXELS / (width * height));
    if (scale >= 1) return picture;
    const [resizeWidth, resizeHeight] = [width, height].map((side) => Math.max(1, Math.floor(side * scale)));
    try {
      return await createImageBitmap(picture, { resizeWidth, resizeHeight, resizeQuality: "medium" });
    } finally {
      picture.close();
    }
  } catch (cause) {
    throw new SourceError("unreadable", `This browser cannot read ${name}.`, { cause });
  }
}
