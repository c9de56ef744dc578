"""Golden for the built-in expression network: its committed files, run by PyTorch in single precision.

    pip install torch==2.8.0 safetensors
    python tests/goldens/expression_mobilenet.py    # writes tests/goldens/expression-mobilenet.json

The input is an integer pattern, which tests/native/backbones.rs draws too.
"""
import json
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

SIDE = 96
MEAN = (123.68, 116.779, 103.939)
STRIDES = {"conv_stem": 2, "blocks.1.conv_dw": 2, "blocks.3.conv_dw": 2, "blocks.5.conv_dw": 2, "blocks.11.conv_dw": 2}
here = pathlib.Path(__file__).resolve().parent
models = here.parent.parent / "models"


def pixel(x, y, channel):
    ramp = x * (channel + 1) + y * (3 - channel)
    rings = ((x - SIDE // 2) ** 2 + (y - 39) ** 2) >> (5 + channel)
    return ((ramp + 4 * rings) & 255) - MEAN[channel]


def read(name):
    return {key: tensor.float() for key, tensor in load_file(models / f"{name}.safetensors").items()}


network = read("expression-mobilenet")
x = torch.tensor([[[[pixel(x, y, c) for x in range(SIDE)] for y in range(SIDE)] for c in range(3)]])
names = ["conv_stem"] + [f"blocks.{block}.conv_{kind}" for block in range(13) for kind in ("dw", "pw")]
with torch.no_grad():
    for name in names:
        kernel, bias, stride = network[f"{name}.weight"], network[f"{name}.bias"], STRIDES.get(name, 1)
        if kernel.shape[-1] == 3:
            x = F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        x = F.relu6(F.conv2d(x, kernel, bias, stride, groups=len(kernel) if kernel.shape[1] == 1 else 1))
    embedding = x.mean((2, 3))
    logits = {}
    for name in ("expression-pretrained", "expression-head"):
        head = read(name)
        hidden = F.relu(F.linear(embedding, head["net.0.weight"], head["net.0.bias"]))
        logits[name] = F.linear(hidden, head["net.2.weight"], head["net.2.bias"])[0].tolist()
rounded = lambda values: [float(f"{value:.8g}") for value in values]
golden = {
    "made_by": f"tests/goldens/expression_mobilenet.py, torch {torch.__version__.split('+')[0]}",
    "embedding": rounded(embedding[0].tolist()),
    "logits": {name: rounded(values) for name, values in logits.items()},
}
(here / "expression-mobilenet.json").write_text(json.dumps(golden, separators=(",", ":")))
print({name: [round(value, 3) for value in values] for name, values in logits.items()}, embedding.mean().item())
