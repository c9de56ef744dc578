// @ts-check
// Frames of a clip that every engine looks at.

/**
 * @param {{ url: string, width: number, height: number }} clip raw RGBA frames
 * @returns {Promise<ImageData[]>}
 */
export async function fetchFrames({ url, width, height }) {
  const bytes = new Uint8ClampedArray(await (await fetch(url)).arrayBuffer());
  const length = width * height * 4;
  const frames = [];
  for (let start = 0; start + length <= bytes.length; start += length) {
    frames.push(new ImageData(bytes.slice(start, start + length), width, height));
  }
  return frames;
}
