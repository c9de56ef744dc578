"""Writes tests/goldens/optical_flow/: Farneback's flow between drawn frames, and flow pictures, as OpenCV makes them.

Frames come from integer arithmetic that tests/native/optical_flow.rs repeats, so only results are stored: every fourth pixel
of every fourth row. flow.safetensors has OpenCV's flow in pixels, as 16-bit floats; each PNG holds the published picture of it above
the one that is read from the JPEG file which OpenCV writes.

    pip install opencv-python-headless==5.0.0.93 numpy==2.4.6 safetensors==0.8.0
    python tests/goldens/optical_flow.py
    python tests/goldens/optical_flow.py --compare COMMAND CLIP...

`--compare` writes nothing: it has the command `affectlens` make the flow pictures of the first 40 frames of each video, reads
them, and prints how far they are from those that OpenCV writes.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import save_file

SIDE, KEPT = 224, 4
FRAMES = 40


def lattice(seed: int, cell: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Levels between jumbled ones every `cell` pixels."""

    def known(column: np.ndarray, row: np.ndarray) -> np.ndarray:
        mixed = column * column * 7919 + row * row * 104729 + column * row * 31337 + seed * 1299709
        return mixed % 65521 % 256

    left, top, right, down = x // cell, y // cell, x % cell, y % cell
    upper = known(left, top) * (cell - right) + known(left + 1, top) * right
    lower = known(left, top + 1) * (cell - right) + known(left + 1, top + 1) * right
    return (upper * (cell - down) + lower * down) // (cell * cell)


def texture(seed: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Coarse and fine grain, in colours."""
    channels = [(2 * lattice(seed + c, 19, x, y) + lattice(seed + c, 7, x, y)) // 3 for c in range(3)]
    return np.stack(channels, axis=-1)


def places(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return x, y


def put(picture: np.ndarray, figure: np.ndarray, left: int, top: int) -> np.ndarray:
    picture = picture.copy()
    picture[top : top + figure.shape[0], left : left + figure.shape[1]] = figure
    return picture


def pairs() -> dict[str, list[np.ndarray]]:
    """RGB frames."""
    x, y = places(SIDE, SIDE)
    ground = texture(10, x, y)
    one, other = (texture(seed, *places(70, 90)) for seed in (50, 60))
    wide_x, wide_y = places(333, 251)
    flat = np.full((SIDE, SIDE, 3), 40)
    box = np.full((60, 40, 3), 210)
    return {
        "shift": [texture(20, x + 50, y + 50), texture(20, x + 47, y + 52)],
        "zoom": [texture(30, 4 * x + 20, 4 * y + 20), texture(30, 4 * x - x // 12 + 20, 4 * y - y // 12 + 20)],
        "figures": [
            put(put(ground, one, 30, 60), other, 130, 50),
            put(put(ground, one, 35, 61), other, 126, 53),
        ],
        "flat": [put(flat, box, 90, 80), put(flat, box, 93, 84)],
        "odd": [texture(40, wide_x, wide_y + 8), texture(40, wide_x + 5, wide_y)],
    }


def grey(rgb: np.ndarray) -> np.ndarray:
    return cv2.resize(cv2.cvtColor(np.ascontiguousarray(rgb.astype(np.uint8)), cv2.COLOR_RGB2GRAY), (SIDE, SIDE))


def flow(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 15, 3, 5, 1.2, 0)


def picture(vectors: np.ndarray) -> np.ndarray:
    """The published one: right, down and length as blue, green and red."""

    def stretched(values: np.ndarray) -> np.ndarray:
        least, most = values.min(), values.max()
        if most - least < 1e-6:
            return np.zeros(values.shape, np.uint8)
        return ((values - least) / (most - least) * 255).astype(np.uint8)

    right, down = vectors[..., 0], vectors[..., 1]
    return np.stack([stretched(right), stretched(down), stretched(np.sqrt(right**2 + down**2))], axis=-1)


def stored(bgr: np.ndarray) -> np.ndarray:
    """What is read from the JPEG file of a picture."""
    return cv2.imdecode(cv2.imencode(".jpg", bgr)[1], cv2.IMREAD_COLOR)


def write() -> None:
    folder = Path(__file__).parent / "optical_flow"
    folder.mkdir(exist_ok=True)
    vectors = {}
    for name, frames in pairs().items():
        found = flow(*map(grey, frames))
        vectors[name] = np.ascontiguousarray(found[::KEPT, ::KEPT]).astype(np.float16)
        drawn = picture(found)
        both = np.concatenate([drawn[::KEPT, ::KEPT], stored(drawn)[::KEPT, ::KEPT]])
        cv2.imwrite(str(folder / f"{name}.png"), both, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        print(name, "median", np.median(found, axis=(0, 1)), "longest", np.abs(found).max())
    save_file(vectors, folder / "flow.safetensors", {"made_by": f"tests/goldens/optical_flow.py, OpenCV {cv2.__version__}"})


def compare(command: str, clips: list[Path]) -> None:
    apart = []
    for clip in clips:
        with tempfile.TemporaryDirectory() as temporary:
            frames, out = Path(temporary) / "frames", Path(temporary) / "out"
            frames.mkdir()
            video = cv2.VideoCapture(str(clip))
            read = []
            while len(read) < FRAMES and (frame := video.read()[1]) is not None:
                read.append(frame)
                cv2.imwrite(str(frames / f"{len(read)}.png"), frame)
            arguments = [*command.split(), "extract", "flow", str(frames), "--out", str(out)]
            subprocess.run(arguments, check=True, capture_output=True)
            greys = [grey(frame[..., ::-1]) for frame in read]
            for number in range(1, len(greys)):
                expected = stored(picture(flow(greys[number - 1], greys[number])))
                ours = cv2.imread(str(out / "frames" / f"{number + 1}.jpg"))
                apart.append(np.abs(ours.astype(int) - expected))
        print(f"{clip}: {(np.stack(apart[1 - len(greys) :]) <= 2).mean():.5f} within 2 levels")
    shares = np.array([(it <= 2).mean() for it in apart])
    print(f"{len(apart)} pictures: {shares.mean():.5f} of the pixels within 2 levels, in the worst picture {shares.min():.5f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--compare", metavar="COMMAND")
    parser.add_argument("clips", type=Path, nargs="*")
    options = parser.parse_args()
    if options.compare:
        compare(options.compare, options.clips)
    else:
        write()


if __name__ == "__main__":
    main()
