"""Goldens for the networks over clips: seeded weights through torchvision.

    pip install torch==2.8.0 torchvision==0.23.0 timm==1.0.20 onnx==1.17.0
    python tests/goldens/clips.py [NAME...]          # writes tests/goldens/clips/

Weights and clips are drawn as `backbones.py` draws them. Committed are names and shapes of the parameters, and the features
of two clips of 16 frames: one of 32 pixels a side, which every test looks at, and one of 224, the networks' own size.
Features are `[moments, width]`: means over the pixels of the last maps. `NAME-training.json` is a pass of two small clips in training
mode and back: features, what batch norms remember, and of each gradient its norm and its product with seeded numbers.
"""

import json
import pathlib
import sys

import torch
import torchvision

from backbones import rounded, seed, uniform

HERE = pathlib.Path(__file__).parent / "clips"
FRAMES = 16
CLASSES = 5


def resnet(name: str):
    model = torchvision.models.get_model(name, num_classes=CLASSES)
    trunk = torch.nn.Sequential(*list(model.children())[:-2])
    return model, trunk


def s3d():
    model = torchvision.models.get_model("s3d", num_classes=CLASSES)
    return model, model.features


def features(trunk: torch.nn.Module, side: int) -> list[float]:
    clip = 2 * uniform("input", 3 * FRAMES * side * side).reshape(1, 3, FRAMES, side, side)
    with torch.no_grad():
        maps = trunk(torch.from_numpy(clip))
    return rounded(maps.mean((3, 4))[0].T.flatten())


def training(name: str, model: torch.nn.Module, trunk: torch.nn.Module) -> None:
    seed(model)
    clips = 2 * uniform("input", 2 * 3 * FRAMES * 32 * 32).reshape(2, 3, FRAMES, 32, 32)
    model.train()
    moments = trunk(torch.from_numpy(clips)).mean((3, 4)).transpose(1, 2)
    wanted = torch.from_numpy(uniform("wanted", moments.numel())).reshape(moments.shape)
    (moments * wanted).sum().backward()
    gradients = {}
    for parameter, p in model.named_parameters():
        if p.grad is not None:
            product = (p.grad.flatten() * torch.from_numpy(uniform(f"gradient {parameter}", p.numel()))).sum()
            gradients[parameter] = rounded(torch.stack([p.grad.norm(), product]))
    state = model.state_dict()
    norms = ["stem.1", "layer2.0.downsample.1", "layer4.1.conv2.1"]
    statistics = [f"{norm}.{part}" for norm in norms for part in ["running_mean", "running_var"]]
    golden = {
        "made_by": f"tests/goldens/clips.py, torch {torch.__version__}, torchvision {torchvision.__version__}",
        "embedding": [rounded(clip.flatten()) for clip in moments],
        "statistics": {key: rounded(state[key]) for key in statistics},
        "gradients": gradients,
    }
    (HERE / f"{name}-training.json").write_text(json.dumps(golden))


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    for name, (model, trunk) in [
        ("r3d-18", resnet("r3d_18")),
        ("r2plus1d-18", resnet("r2plus1d_18")),
        ("s3d", s3d()),
    ]:
        if name in (sys.argv[1:] or [name]):
            shapes = seed(model.eval())
            print(name, "parameters", sum(p.numel() for p in trunk.parameters()))
            golden = {
                "made_by": f"tests/goldens/clips.py, torch {torch.__version__}, torchvision {torchvision.__version__}",
                "shapes": shapes,
                "small": features(trunk, 32),
                "whole": features(trunk, 224),
            }
            (HERE / f"{name}.json").write_text(json.dumps(golden))
    if "r3d-18-training" in (sys.argv[1:] or ["r3d-18-training"]):
        training("r3d-18", *resnet("r3d_18"))
