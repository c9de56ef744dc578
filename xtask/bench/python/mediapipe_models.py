"""Writes what MediaPipe's tasks need, and Google's networks for poses as they are published.

    python mediapipe_models.py WEIGHTS PICTURES PACKAGE FACES OUT

WEIGHTS and PICTURES are those of models.py; PACKAGE is the folder of npm @mediapipe/pose, FACES a bundle of the Face
Landmarker. OUT receives pose-detector and pose-landmarks as .safetensors, .tflite and .input, pose_landmarker_lite.task and
face_landmarker.task. The bundle for poses holds both networks, each with the normalisation of its input in its metadata:
MediaPipe reads it there, and the package's files do not say it. That for faces is published as it is.

Needs ai-edge-litert, flatbuffers and numpy.
"""

import pathlib
import shutil
import sys
import zipfile

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_models import packed
from weights import BATCH, PICTURE_SIDE, Weights, numbers, read_safetensors, write_input

# our name: file in the package, name in the bundle
NETWORKS = {
    "pose-detector": ("pose_solution_packed_assets.data", "pose_detector.tflite"),
    "pose-landmarks": ("pose_landmark_lite.tflite", "pose_landmarks_detector.tflite"),
}
# Tags of TensorFlow's metadata_schema.fbs.
IMAGE_PROPERTIES, NORMALIZATION_OPTIONS, RGB = 2, 1, 1


def table(builder, *fields):
    """A table whose fields are `(place, kind, value)`."""
    builder.StartObject(1 + max(place for place, _, _ in fields))
    for place, kind, value in fields:
        if kind == "offset":
            builder.PrependUOffsetTRelativeSlot(place, value, 0)
        elif kind == "byte":
            builder.PrependInt8Slot(place, value, 0)
        else:
            builder.PrependUint8Slot(place, value, 0)
    return builder.EndObject()


def listed(builder, tables):
    builder.StartVector(4, len(tables), 4)
    for one in reversed(tables):
        builder.PrependUOffsetTRelative(one)
    return builder.EndVector()


def metadata(mean, std):
    """What says that a model's input is a colour picture, normalised so."""
    builder = flatbuffers.Builder(512)
    numbers = [builder.CreateNumpyVector(np.array([value], np.float32)) for value in (mean, std)]
    options = table(builder, (0, "offset", numbers[0]), (1, "offset", numbers[1]))
    unit = table(builder, (0, "union", NORMALIZATION_OPTIONS), (1, "offset", options))
    properties = table(builder, (0, "byte", RGB))
    content = table(builder, (0, "union", IMAGE_PROPERTIES), (1, "offset", properties))
    name = builder.CreateString("image")
    tensor = table(
        builder, (0, "offset", name), (3, "offset", content), (4, "offset", listed(builder, [unit]))
    )
    subgraph = table(builder, (2, "offset", listed(builder, [tensor])))
    model = table(builder, (3, "offset", listed(builder, [subgraph])))
    builder.Finish(model, b"M001")
    return bytes(builder.Output())


def described(model, mean, std):
    """The model with metadata."""
    model = schema.ModelT.InitFromPackedBuf(model, 0)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(metadata(mean, std), np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = "TFLITE_METADATA", len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    return packed(model)


def main():
    source, pictures, package, faces, out = (pathlib.Path(argument) for argument in sys.argv[1:6])
    pictures = np.fromfile(pictures, np.uint8).reshape(BATCH, PICTURE_SIDE, PICTURE_SIDE, 3)
    shutil.copyfile(faces, out / "face_landmarker.task")
    with zipfile.ZipFile(out / "pose_landmarker_lite.task", "w", zipfile.ZIP_STORED) as bundle:
        for name, (published, bundled) in NETWORKS.items():
            file = source / f"{name}.safetensors"
            weights = Weights(*read_safetensors(file))
            shutil.copyfile(file, out / file.name)
            write_input(out / f"{name}.input", pictures, weights)
            model = (package / published).read_bytes()
            (out / f"{name}.tflite").write_bytes(model)
            # All channels alike.
            mean, std = (numbers(weights.metadata[key])[0] for key in ("mean", "std"))
            bundle.writestr(bundled, described(model, mean, std))


if __name__ == "__main__":
    main()
