"""Goldens for the transformers over clips: seeded weights through torchvision and transformers.

    pip install torch==2.8.0 torchvision==0.23.0 transformers==4.57.6 timm==1.0.20 onnx==1.17.0
    python tests/goldens/clip_transformers.py [NAME...]          # writes tests/goldens/clips/

Weights and clips are drawn as `backbones.py` draws them. Committed are names and shapes of the parameters of the networks with
their classifiers, and every seventh number of the features `[moments, width]`, means over the pixels of each moment, of clips of
several sizes, the network's own among them. `config` is what a network's sizes are read from.

The gradients are those of the sum of a small clip's features times seeded numbers, without dropout: of each its norm and its
product with seeded numbers.
"""

import json
import pathlib
import sys

import torch
import torchvision
import transformers

from backbones import parameter, rounded, uniform
from clips import gradients

HERE = pathlib.Path(__file__).parent / "clips"
CLASSES = 5
MADE_BY = (
    f"tests/goldens/clip_transformers.py, torch {torch.__version__}, torchvision {torchvision.__version__}, "
    f"transformers {transformers.__version__}"
)


def seed(model: torch.nn.Module) -> dict[str, list[int]]:
    """Fills the parameters; gives their shapes."""
    parameters = dict(model.named_parameters())
    for name, values in parameters.items():
        values.data = torch.from_numpy(parameter(name, list(values.shape)))
    return {name: list(values.shape) for name, values in parameters.items()}


def clip(frames: int, side: int) -> torch.Tensor:
    """`[1, 3, frames, side, side]`"""
    values = 2 * uniform("input", 3 * frames * side * side)
    return torch.from_numpy(values).reshape(1, 3, frames, side, side)


class VideoMae:
    def __init__(self, **sizes):
        """Sizes beside those of the base; the network is made anew for each size of clips, since positions depend on it."""
        self.sizes = sizes

    def model(self, frames: int, side: int) -> torch.nn.Module:
        sizes = {**self.sizes, "num_frames": frames, "image_size": side}
        config = transformers.VideoMAEConfig(**sizes, num_labels=CLASSES, attn_implementation="eager")
        return transformers.VideoMAEForVideoClassification(config).eval()

    @staticmethod
    def features(model: torch.nn.Module, clip: torch.Tensor) -> torch.Tensor:
        frames = clip.shape[2]
        tubes = model.videomae(clip.transpose(1, 2)).last_hidden_state[0]
        return tubes.unflatten(0, (frames // model.config.tubelet_size, -1)).mean(1)


class Swin:
    @staticmethod
    def model(_frames: int, _side: int) -> torch.nn.Module:
        return torchvision.models.video.swin3d_t(num_classes=CLASSES).eval()

    @staticmethod
    def features(model: torch.nn.Module, clip: torch.Tensor) -> torch.Tensor:
        return model.norm(model.features(model.patch_embed(clip)))[0].mean((1, 2))


SMALL = dict(hidden_size=384, num_attention_heads=6, intermediate_size=1536)
# Heads of 10 channels, one layer norm more, other tubes than the published ones.
TINY = dict(
    hidden_size=40,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=72,
    patch_size=8,
    tubelet_size=4,
    use_mean_pooling=False,
)
# Name, network, sizes of clips: frames and side; the first is also that of the gradients.
NETWORKS = [
    ("videomae-small", VideoMae(**SMALL), [(16, 32), (16, 224)]),
    ("videomae-crime", VideoMae(**TINY), [(8, 32)]),
    # Windows that are filled up and shifted along rows and columns; along all axes; that are whole; and the network's own.
    ("swin3d-t", Swin(), [(16, 32), (20, 36), (4, 28), (16, 224)]),
]


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, network, sizes in NETWORKS:
        if name not in (sys.argv[1:] or [name]):
            continue
        features = {}
        for frames, side in sizes:
            model = network.model(frames, side)
            shapes = seed(model)
            with torch.no_grad():
                of_clip = network.features(model, clip(frames, side))
            print(name, frames, side, list(of_clip.shape), of_clip.std().item())
            features[f"{frames}x{side}"] = rounded(of_clip.flatten()[::7])
        trunk = [values.numel() for key, values in model.named_parameters() if not key.startswith(("head", "fc_norm", "classifier"))]
        print(name, "parameters", sum(trunk))
        model = network.model(*sizes[0])
        seed(model)
        of_clip = network.features(model, clip(*sizes[0]))
        wanted = torch.from_numpy(uniform("wanted", of_clip.numel())).reshape(of_clip.shape)
        (of_clip * wanted).sum().backward()
        golden = {
            "made_by": MADE_BY,
            "config": json.loads(model.config.to_json_string()) if name == "videomae-crime" else None,
            "shapes": shapes,
            "features": features,
            "gradients": gradients(model, "videomae."),
        }
        (HERE / f"{name}.json").write_text(json.dumps(golden))
