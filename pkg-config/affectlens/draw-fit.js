// @ts-check
// Where the points of a picture lie on a canvas over it.

/**
 * @typedef {{ width: number, height: number }} Size
 * @typedef {import("./draw.js").Fit} Fit
 * @typedef {import("./draw.js").Placement} Placement
 */

/**
 * Places a picture in a box as CSS's `object-fit` and `object-position` do.
 *
 * @param {Size} picture in its own pixels
 * @param {Size} box
 * @param {{ fit?: Fit, position?: string, mirrored?: boolean }} [how]
 * @returns {Placement}
 */
export function fitPicture(picture, box, { fit = "contain", position = "50% 50%", mirrored = false } = {}) {
  const [scaleX, scaleY] = scalesOf(picture, box, fit);
  const [across, down] = position.split(" ");
  const left = offsetOf(across, box.width - picture.width * scaleX);
  const top = offsetOf(down, box.height - picture.height * scaleY);
  return {
    scaleX,
    scaleY,
    place(x, y) {
      const fromLeft = left + x * scaleX;
      // A mirrored element is mirrored with its edges.
      return [mirrored ? box.width - fromLeft : fromLeft, top + y * scaleY];
    },
  };
}

/**
 * @param {Size} picture
 * @param {Size} box
 * @param {Fit} fit
 */
function scalesOf(picture, box, fit) {
  const [across, down] = [box.width / picture.width, box.height / picture.height];
  switch (fit) {
    case "fill":
      return [across, down];
    case "cover":
      return Array(2).fill(Math.max(across, down));
    case "none":
      return [1, 1];
    case "scale-down":
      return Array(2).fill(Math.min(1, across, down));
    default:
      return Array(2).fill(Math.min(across, down));
  }
}

/**
 * @param {string | undefined} position as browsers compute it: a share of what is free, or pixels
 * @param {number} free
 */
function offsetOf(position, free) {
  const value = Number.parseFloat(position ?? "");
  if (Number.isNaN(value)) return free / 2;
  return position?.endsWith("px") ? value : (free * value) / 100;
}
