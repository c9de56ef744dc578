"""Writes tests/goldens/crop/*.png: what Pillow's bilinear resize makes of synthetic pictures.

The pictures come from integer arithmetic that tests/native/crop.rs repeats, so only results are stored.

Pillow 11 is what the published features were made with; 13 swaps the two passes of tall pictures.

    pip install pillow==11.3.0 numpy
    python tests/goldens/crop.py
"""

from pathlib import Path

import numpy as np
from PIL import Image

# name, source width, source height, box (left, top, right, bottom), target width, target height
CASES = [
    ("shrink", 301, 217, (0, 0, 301, 217), 112, 112),
    ("shrink-far", 1280, 720, (0, 0, 1280, 720), 128, 72),
    ("shrink-crop", 640, 360, (211, 47, 428, 301), 64, 64),
    ("enlarge", 23, 31, (0, 0, 23, 31), 96, 96),
    ("mixed", 40, 300, (0, 0, 40, 300), 75, 75),
    ("thin", 1, 9, (0, 0, 1, 9), 4, 4),
]


def picture(width: int, height: int) -> np.ndarray:
    """Smooth ramps, a coarse checkerboard and a little noise: every kind of edge a resize can get wrong."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    ramp = x * (3 + c) + y * (5 - c)
    board = ((x // 7 + y // 5 + c) % 2) * 90
    noise = (x * 7919 + y * 104729 + c * 1299709) % 61
    return ((ramp + board + noise) % 256).astype(np.uint8)


def main() -> None:
    folder = Path(__file__).parent / "crop"
    folder.mkdir(exist_ok=True)
    for name, width, height, box, target_width, target_height in CASES:
        cropped = Image.fromarray(picture(width, height)).crop(box)
        resized = cropped.resize((target_width, target_height), Image.Resampling.BILINEAR)
        resized.save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
