"""Writes tests/goldens/crop/*.png: what Pillow's bilinear resize, and PyTorch's antialiased one, make of synthetic pictures.

The pictures come from integer arithmetic that tests/native/crop.rs repeats, so only results are stored.

Pillow 11 is what the published features were made with; 13 swaps the two passes of tall pictures.

    pip install pillow==11.3.0 numpy torch==2.8.0
    python tests/goldens/crop.py
"""

from pathlib import Path

import numpy as np
import torch
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

# Width and height of a whole frame, and the side that it is squashed to.
FRAME = (320, 180)
SIDE = 64


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
    frame_as_tensor(folder)


def frame_as_tensor(folder: Path) -> None:
    """A whole frame as the published violence detectors read it: floats from 0 to 1, antialiased, squashed to a square."""
    frame = torch.from_numpy(picture(*FRAME)).permute(2, 0, 1)[None].float() / 255
    resized = torch.nn.functional.interpolate(frame, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
    pixels = (resized[0].permute(1, 2, 0) * 255).round().numpy().astype(np.uint8)
    Image.fromarray(pixels).save(folder / "frame-as-tensor.png", optimize=True)


if __name__ == "__main__":
    main()
