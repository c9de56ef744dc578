"""Goldens for training a backbone for expressions: a step through PyTorch, and how pictures are augmented.

    pip install torch==2.8.0 numpy==2.4.6
    python tests/goldens/faces.py              # writes tests/goldens/faces.json

The network is MobileNetV1 as `faceres` has it, with seeded weights in canonical form (batch norms folded): `uniform` and
`parameter` draw them from a hash of name and index, as tests/seeded/mod.rs does. Each layer gets a batch norm with the
statistics of what the layer makes of the pictures, and a scale and shift that undo them. Two classifiers share the
embedding. A step of AdamW is taken, and the loss is computed once more.

The first step of Adam depends on little but the sign of a gradient. Where a gradient is next to nothing its sign is chance,
so parameters are compared where gradients are largest, and gradients by their norm and a product with seeded numbers.
"""

import json
import math
import pathlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)
SIDE, COUNTS, CLASSES = 64, (4, 2), (7, 6)
STRIDES = {1: 2, 3: 2, 5: 2, 11: 2}
CHANNELS = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
RATE, DECAY, NORM, MOMENTUM = 1.2e-3, 0.05, 2.0, 0.02


def uniform(name: str, count: int) -> np.ndarray:
    """`count` float32 in [-1, 1): SplitMix64 of (FNV-1a of the name) + index, 24 bits."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = ((state ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        x = np.uint64(state) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(40)).astype(np.float32) / np.float32(2**23) - np.float32(1)


def parameter(name: str, *shape: int) -> torch.Tensor:
    u = uniform(name, math.prod(shape)).reshape(shape)
    if name.endswith("bias"):
        return torch.from_numpy(np.float32(0.25) * u)
    return torch.from_numpy(u * np.sqrt(np.float32(4.5) / np.float32(math.prod(shape[1:]))))


class Layer(nn.Module):
    def __init__(self, name, outputs, inputs, side, stride, groups):
        super().__init__()
        weight = parameter(f"{name}.weight", outputs, inputs, side, side)
        if name == "conv_stem":  # one grey channel stands for three
            inputs, weight = 1, weight.sum(1, keepdim=True)
        self.convolution = nn.Conv2d(inputs * groups, outputs, side, stride, groups=groups, bias=False)
        self.convolution.weight.data = weight
        self.norm = nn.BatchNorm2d(outputs, momentum=MOMENTUM)
        self.folded_bias = parameter(f"{name}.bias", outputs)

    def convolve(self, x):
        if self.convolution.kernel_size[0] == 3:
            x = F.pad(x, (1, 1, 1, 1) if self.convolution.stride[0] == 1 else (0, 1, 0, 1))
        return self.convolution(x)

    def forward(self, x):
        return F.relu6(self.norm(self.convolve(x)))

    @torch.no_grad()
    def restore(self, x):
        x = self.convolve(x)
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
        self.norm.running_mean.copy_(mean)
        self.norm.running_var.copy_(variance)
        self.norm.weight.copy_((variance + self.norm.eps).sqrt())
        self.norm.bias.copy_(self.folded_bias + mean)
        return F.relu6(x + self.folded_bias[:, None, None])


class Head(nn.Module):
    def __init__(self, name, classes):
        super().__init__()
        self.hidden, self.output = nn.Linear(1024, 128), nn.Linear(128, classes)
        for key, layer in (("net.0", self.hidden), ("net.2", self.output)):
            layer.weight.data = parameter(f"{name}.{key}.weight", *layer.weight.shape)
            layer.bias.data = parameter(f"{name}.{key}.bias", *layer.bias.shape)

    def forward(self, x, dropout):
        return self.output(torch.relu(self.hidden(x * dropout[0])) * dropout[1])


layers = [Layer("conv_stem", 32, 3, 3, 2, 1)]
for block, (inputs, outputs) in enumerate(zip(CHANNELS, CHANNELS[1:])):
    layers.append(Layer(f"blocks.{block}.conv_dw", inputs, 1, 3, STRIDES.get(block, 1), inputs))
    layers.append(Layer(f"blocks.{block}.conv_pw", outputs, inputs, 1, 1, 1))
trunk = nn.Sequential(*layers)
heads = [Head(f"heads.{place}", classes) for place, classes in enumerate(CLASSES)]

pictures = torch.from_numpy(128 * uniform("pictures", sum(COUNTS) * SIDE * SIDE)).reshape(-1, 1, SIDE, SIDE)
x = pictures
for layer in layers:
    x = layer.restore(x)


def targets(place, count, classes):
    labels = F.one_hot(torch.arange(count) % classes, classes) * 0.9 + 0.1 / classes
    # The second picture is mixed with the first.
    labels[1] = 0.7 * labels[1] + 0.3 * labels[0]
    return labels


def dropout(place, count):
    kept = lambda width, rate: torch.from_numpy(
        (uniform(f"dropout {place} {width}", count * width).reshape(count, width) >= 2 * rate - 1) / np.float32(1 - rate)
    ).float()
    return kept(1024, 0.3), kept(128, 0.2)


CLASS_WEIGHTS = [torch.ones(7), torch.tensor([1.0, 1.5, 9.0, 1.25, 4.0, 2.0])]
LOSS_WEIGHTS = [1.0, 0.4]


def loss():
    embedding = trunk(pictures).mean((2, 3))
    total, start = 0, 0
    for place, (count, classes) in enumerate(zip(COUNTS, CLASSES)):
        logits = heads[place](embedding[start : start + count], dropout(place, count))
        start += count
        target = targets(place, count, classes)
        weights = (target * CLASS_WEIGHTS[place]).sum(1)
        losses = -(target * logits.log_softmax(1)).sum(1)
        total = total + LOSS_WEIGHTS[place] * (losses * weights).sum() / weights.sum()
    return total


def named():
    """The parameters by their places in the Rust module; linear weights are transposed there."""
    for place, layer in enumerate(layers):
        yield f"encoder.layers.{place}.weight", layer.convolution.weight, False
        yield f"encoder.layers.{place}.batch_norm.inner.gamma", layer.norm.weight, False
        yield f"encoder.layers.{place}.batch_norm.inner.beta", layer.norm.bias, False
    for place, head in enumerate(heads):
        for name, layer in (("hidden", head.hidden), ("output", head.output)):
            yield f"heads.{place}.{name}.weight", layer.weight, True
            yield f"heads.{place}.{name}.bias", layer.bias, False


def flat(values, transposed):
    return (values.T if transposed else values).detach().reshape(-1)


def product(name, values):
    return float(values.double() @ torch.from_numpy(uniform(name, len(values))).double())


modules = nn.ModuleList([trunk, *heads])
matrices = [it for it in modules.parameters() if it.ndim > 1]
vectors = [it for it in modules.parameters() if it.ndim <= 1]
groups = [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}]
adam = torch.optim.AdamW(groups, lr=RATE)
first = loss()
first.backward()
norm = nn.utils.clip_grad_norm_(modules.parameters(), NORM)
gradients = {name: flat(it.grad, transposed) for name, it, transposed in named()}
adam.step()
parameters = {}
for name, it, transposed in named():
    gradient, after = gradients[name], flat(it, transposed)
    places = gradient.abs().argsort(descending=True)[:4]
    parameters[name] = {
        "gradient": [float(gradient.double().norm()), product(f"gradient {name}", gradient)],
        "places": places.tolist(),
        "after": after[places].tolist(),
    }
statistics = {}
for place, layer in enumerate(layers):
    for name, value in (("running_mean", layer.norm.running_mean), ("running_var", layer.norm.running_var)):
        statistics[f"encoder.layers.{place}.batch_norm.inner.{name}"] = value[:4].tolist()
second = loss()
print("losses", first.item(), second.item(), "norm", norm.item())

# A picture of the sizes and levels of the test.
levels = np.array([place * 7919 % 65521 % 256 for place in range(24 * 20)], np.float32).reshape(1, 1, 20, 24)
picture = torch.from_numpy(levels)
view = torch.tensor([[-0.8, 0.21, 0.07], [0.19, 0.9, -0.11]])
seen = F.grid_sample(
    picture, F.affine_grid(view[None], (1, 1, 16, 16), align_corners=False), padding_mode="border", align_corners=False
)
seen = ((seen - 128) * 1.2 + 128 - 17).clamp(0, 255)
seen[:, :, 9:12, 2:6] = 77
averaged = torch.floor(F.adaptive_avg_pool2d(picture.double(), (5, 7)) + 0.5 + 1e-9)

golden = {
    "made_by": f"tests/goldens/faces.py, torch {torch.__version__}",
    "losses": [first.item(), second.item()],
    "norm": norm.item(),
    "parameters": parameters,
    "statistics": statistics,
    "view": {
        "map": view.tolist(),
        "contrast": 1.2,
        "brightness": -17.0,
        "levels": seen.flatten().tolist(),
        "plain": F.interpolate(picture, (16, 16), mode="bilinear", align_corners=False).flatten().tolist(),
        "averaged": [int(it) for it in averaged.flatten().tolist()],
    },
}
round_trip = lambda it: float(f"{it:.8g}") if isinstance(it, float) else it


def rounded(it):
    if isinstance(it, dict):
        return {key: rounded(value) for key, value in it.items()}
    return [rounded(value) for value in it] if isinstance(it, list) else round_trip(it)


path = pathlib.Path(__file__).parent / "faces.json"
path.write_text(json.dumps(rounded(golden), separators=(",", ":")) + "\n")
