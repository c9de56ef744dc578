"""Goldens for the networks over clips: seeded weights through torchvision and PyTorch.

    pip install torch==2.8.0 torchvision==0.23.0 timm==1.0.20 onnx==1.17.0
    python tests/goldens/clips.py [NAME...]          # writes tests/goldens/clips/

torchvision has R3D, R(2+1)D and S3D; SlowFast-R50 is built in `slowfast.py`.

Weights and clips are drawn as `backbones.py` draws them. Committed are names and shapes of the parameters, and the features
of two clips of 16 frames: one of 32 pixels a side, which every test looks at, and one of 224, the networks' own size.
Features are `[moments, width]`: means over the pixels of the last maps. SlowFast's slow pathway has a moment for every fourth
frame; its features are interpolated to those of the fast pathway. Of these 16 moments every ninth feature is kept.

`NAME-training` is a pass in training mode and back over two clips of 32 pixels: features, what batch norms remember, and of
each gradient its norm and its product with seeded numbers.
"""

import json
import pathlib
import sys

import torch
import torchvision
from torch import nn

from backbones import rounded, seed, uniform
from slowfast import SlowFast

HERE = pathlib.Path(__file__).parent / "clips"
FRAMES = 16
SMALL = 32
CLASSES = 5


def resnet(name: str):
    model = torchvision.models.get_model(name, num_classes=CLASSES)
    trunk = nn.Sequential(*list(model.children())[:-2])
    return model, trunk


def s3d():
    model = torchvision.models.get_model("s3d", num_classes=CLASSES)
    return model, model.features


def slowfast():
    model = SlowFast(CLASSES)
    return model, model


NETWORKS = {
    "r3d-18": lambda: resnet("r3d_18"),
    "r2plus1d-18": lambda: resnet("r2plus1d_18"),
    "s3d": s3d,
    "slowfast-r50": slowfast,
}


def clips(count: int, side: int) -> torch.Tensor:
    shape = (count, 3, FRAMES, side, side)
    return torch.from_numpy(2 * uniform("input", torch.Size(shape).numel()).reshape(shape))


def features(trunk: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """`[batch, moments, width]`"""
    return trunk(batch).mean((3, 4)).transpose(1, 2)


def some(embedding: torch.Tensor) -> list[float]:
    """Of many moments every ninth feature."""
    is_long = embedding.shape[-2] > 2
    return rounded(embedding[..., :: 9 if is_long else 1].flatten())


def made_by() -> str:
    return f"tests/goldens/clips.py, torch {torch.__version__}, torchvision {torchvision.__version__}"


def golden(name: str) -> None:
    model, trunk = NETWORKS[name]()
    shapes = seed(model.eval())
    # Those of the network alone: the classes have no gradient.
    features(trunk, clips(1, SMALL)).sum().backward()
    print(name, "parameters", sum(p.numel() for p in model.parameters() if p.grad is not None))
    with torch.no_grad():
        small, whole = [some(features(trunk, clips(1, side))) for side in (SMALL, 224)]
    text = {"made_by": made_by(), "shapes": shapes, "small": small, "whole": whole}
    (HERE / f"{name}.json").write_text(json.dumps(text))


def gradients(model: nn.Module, prefix: str = "") -> dict[str, list[float]]:
    """Of each gradient its norm, and its product with seeded numbers; both summed up in 64 bits, since a sum of millions in 32
    bits is off by 2e-4 of itself."""
    found = {}
    for name, p in model.named_parameters():
        if p.grad is not None:
            name = name.removeprefix(prefix)
            gradient = p.grad.flatten().double()
            product = (gradient * torch.from_numpy(uniform(f"gradient {name}", p.numel()))).sum()
            found[name] = rounded(torch.stack([gradient.norm(), product]))
    return found


def training_golden(name: str) -> None:
    model, trunk = NETWORKS[name]()
    seed(model)
    model.train()
    embedding = features(trunk, clips(2, SMALL))
    wanted = torch.from_numpy(uniform("wanted", embedding.numel())).reshape(embedding.shape)
    (embedding * wanted).sum().backward()
    state = model.state_dict()
    statistics = [key for key in state if ".running_" in key]
    text = {
        "made_by": made_by(),
        "embedding": [some(clip) for clip in embedding],
        # Of the first and of the last batch norm.
        "statistics": {key: rounded(state[key]) for key in statistics[:2] + statistics[-2:]},
        "gradients": gradients(model),
    }
    (HERE / f"{name}-training.json").write_text(json.dumps(text))


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    for name in NETWORKS:
        for wanted, write in [(name, golden), (f"{name}-training", training_golden)]:
            if wanted in (sys.argv[1:] or [wanted]):
                write(name)
