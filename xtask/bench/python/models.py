"""Writes the benchmark's networks for every engine: the same weights as safetensors, ONNX and tflite, and the same input.

    python models.py WEIGHTS MODELS PICTURES OUT

WEIGHTS is the folder of converted weights, MODELS that of trained ones; PICTURES a file of raw RGB pictures, four of
256x256 pixels. OUT receives, for each network, NAME.safetensors, NAME.onnx, NAME.tflite (NAME.batchN.tflite for other
batches than one), NAME.input (four pictures, `[4, 3, side, side]` little-endian floats) and models.json.

EmotiEffNet-B0 and ConvNeXt-T have seeded weights (`tests/goldens/backbones.py` seeds alike): times do not depend on their
values.

Needs ai-edge-litert, flatbuffers, onnx and numpy.
"""

import json
import pathlib
import shutil
import sys

import numpy as np

import networks
from onnx_models import OnnxGraph
from tflite_models import TfliteGraph
from weights import BATCH, PICTURE_SIDE, SeededWeights, Weights, read_safetensors, write_input, write_safetensors


def of_imagenet(name):
    """Seeded weights of a network whose input is normalised as ImageNet's."""
    rows = [[255 * value for value in row] for row in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
    metadata = {"architecture": name, "input_side": "224", "licence": "", "source": "seeded"}
    return SeededWeights(metadata | {key: json.dumps(row) for key, row in zip(("mean", "std"), rows)})


# The steps, whether weights are seeded, and batch sizes.
NETWORKS = {
    "emotieffnet-b0": (networks.efficientnet_b0, True, [1, BATCH]),
    "expression-mobilenet": (networks.mobilenet, False, [1]),
    "blazeface-short-range": (networks.blazeface, False, [1]),
    "face-mesh": (networks.face_mesh, False, [1]),
    "efficientnet-lite0": (networks.efficientnet_lite0, False, [1]),
    "convnext-tiny": (networks.convnext, True, [1]),
}


def main():
    converted, trained, pictures, out = (pathlib.Path(argument) for argument in sys.argv[1:5])
    out.mkdir(parents=True, exist_ok=True)
    pictures = np.fromfile(pictures, np.uint8).reshape(BATCH, PICTURE_SIDE, PICTURE_SIDE, 3)
    facts = {}
    for name, (steps, is_seeded, batches) in NETWORKS.items():
        file = out / f"{name}.safetensors"
        if is_seeded:
            weights = of_imagenet(name)
        else:
            found = [folder / file.name for folder in (converted, trained) if (folder / file.name).exists()]
            weights = Weights(*read_safetensors(found[0]))
            shutil.copyfile(found[0], file)
        graph = OnnxGraph(name, weights)
        output = steps(graph)
        graph.save(out / f"{name}.onnx", output)
        facts[name] = graph.facts(output)
        for batch in batches:
            graph = TfliteGraph(name, weights, batch)
            graph.save(out / (f"{name}.tflite" if batch == 1 else f"{name}.batch{batch}.tflite"), steps(graph))
        if is_seeded:
            write_safetensors(file, weights, weights.metadata)
        write_input(out / f"{name}.input", pictures, weights)
    (out / "models.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
