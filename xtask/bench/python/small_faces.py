"""Counts the small faces that detectors find in mosaics: 24 pictures of faces, scattered over 1920x1080 pixels.

    python xtask/bench/python/small_faces.py FACES AFFECTLENS [--mosaics 4] [--options "--detector auto"] [--mediapipe] [--human]

FACES is a folder of pictures of one face each, cut closely; AFFECTLENS the program. A face is found if the centre of a
report's box lies in its picture; more than one report in a picture are doubles, reports elsewhere are false. Needs pillow
13.0.0; with --mediapipe also mediapipe 0.10.14, whose two detectors look at the whole mosaic; with --human also Node and
`npm ci` in xtask/bench (the time of a mosaic then includes the start of Chromium).
"""

import argparse
import json
import random
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT = 1920, 1080
COLUMNS, ROWS = 6, 4
SIDES = (90, 60, 40)
# Lowest number of faces found in a mosaic of each size.
BARS = {90: 23, 60: 22, 40: 18}


def mosaic(files: list[Path], side: int, seed: int) -> tuple[Image.Image, list[tuple[int, int, int, int]]]:
    """A mosaic, and where its pictures lie: left, top, right, bottom."""
    chance = random.Random(seed)
    canvas = Image.new("RGB", (WIDTH, HEIGHT), (96, 104, 112))
    places = []
    for index, file in enumerate(chance.sample(files, COLUMNS * ROWS)):
        picture = Image.open(file).convert("RGB")
        scale = side / max(picture.size)
        size = [max(1, round(length * scale)) for length in picture.size]
        picture = picture.resize(size, Image.Resampling.LANCZOS)
        cell = (WIDTH / COLUMNS, HEIGHT / ROWS)
        centre = [(place + 0.5) * length for place, length in zip((index % COLUMNS, index // COLUMNS), cell)]
        left, top = (
            int(middle - extent / 2 + chance.uniform(-0.5, 0.5) * (length - side))
            for middle, extent, length in zip(centre, size, cell)
        )
        canvas.paste(picture, (left, top))
        places.append((left, top, left + size[0], top + size[1]))
    return canvas, places


def count(boxes: list[list[float]], places: list[tuple[int, int, int, int]]) -> tuple[int, int, int]:
    """Faces found, doubles, false reports."""
    reports = [0] * len(places)
    false = 0
    for left, top, width, height in boxes:
        x, y = left + width / 2, top + height / 2
        shown = [index for index, (a, b, c, d) in enumerate(places) if a <= x < c and b <= y < d]
        if shown:
            reports[shown[0]] += 1
        else:
            false += 1
    return sum(1 for found in reports if found), sum(max(0, found - 1) for found in reports), false


def of_affectlens(program: str, options: list[str], file: Path) -> list[list[float]]:
    report = subprocess.run([program, "analyze", str(file), *options], check=True, capture_output=True, text=True)
    return [face["box"] for face in json.loads(report.stdout)["faces"]]


def of_mediapipe(range_of: int, file: Path) -> list[list[float]]:
    import mediapipe
    import numpy as np

    picture = np.asarray(Image.open(file).convert("RGB"))
    with mediapipe.solutions.face_detection.FaceDetection(model_selection=range_of) as detector:
        found = detector.process(picture).detections or []
    boxes = [face.location_data.relative_bounding_box for face in found]
    return [[box.xmin * WIDTH, box.ymin * HEIGHT, box.width * WIDTH, box.height * HEIGHT] for box in boxes]


def of_human(file: Path) -> list[list[float]]:
    script = Path(__file__).parent.parent / "human_boxes.mjs"
    return json.loads(subprocess.run(["node", script, str(file)], check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path)
    parser.add_argument("affectlens")
    parser.add_argument("--mosaics", type=int, default=4)
    parser.add_argument("--options", default="--device cpu")
    parser.add_argument("--mediapipe", action="store_true")
    parser.add_argument("--human", action="store_true")
    args = parser.parse_args()
    files = sorted(file for file in args.faces.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg", ".png"))
    detectors = {f"affectlens {args.options}": lambda file: of_affectlens(args.affectlens, shlex.split(args.options), file)}
    if args.mediapipe:
        detectors["mediapipe short range"] = lambda file: of_mediapipe(0, file)
        detectors["mediapipe full range"] = lambda file: of_mediapipe(1, file)
    if args.human:
        detectors["human"] = of_human
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mosaic.png"
        for name, detect in detectors.items():
            for side in SIDES:
                counts = []
                seconds = 0.0
                for seed in range(args.mosaics):
                    canvas, places = mosaic(files, side, seed)
                    canvas.save(file)
                    started = time.perf_counter()
                    counts.append(count(detect(file), places))
                    seconds += time.perf_counter() - started
                found, doubles, false = zip(*counts)
                print(
                    f"{name}, {side} px: {' '.join(map(str, found))} of {COLUMNS * ROWS} (bar {BARS[side]}),",
                    f"{sum(doubles)} doubles, {sum(false)} false, {seconds / args.mosaics:.2f} s a mosaic",
                )


if __name__ == "__main__":
    main()
