"""SlowFast-R50 8x8 from its table (Feichtenhofer et al. 2019) in the manner of PyTorchVideo's checkpoints: same parameter
names, and Kinetics' classes beside the network. Its features are those of violence detectors, not pooled over time.
"""

from collections import OrderedDict

import torch
from torch import nn


def convolution(inputs: int, outputs: int, frames: int, side: int, stride=(1, 1)) -> nn.Conv3d:
    """Over so many frames of so many pixels a side; strides along time and within frames."""
    kernel, stride = (frames, side, side), (stride[0], stride[1], stride[1])
    padding = tuple(length // 2 for length in kernel)
    return nn.Conv3d(inputs, outputs, kernel, stride, padding, bias=False)


class Residual(nn.Module):
    """A bottleneck block of one pathway."""

    def __init__(self, inputs: int, outputs: int, frames: int, stride: int) -> None:
        super().__init__()
        between = outputs // 4
        if stride != 1 or inputs != outputs:
            self.branch1_conv = convolution(inputs, outputs, 1, 1, (1, stride))
            self.branch1_norm = nn.BatchNorm3d(outputs)
        layers = OrderedDict()
        for name, layer in [
            ("a", convolution(inputs, between, frames, 1)),
            ("b", convolution(between, between, 1, 3, (1, stride))),
            ("c", convolution(between, outputs, 1, 1)),
        ]:
            layers[f"conv_{name}"] = layer
            layers[f"norm_{name}"] = nn.BatchNorm3d(layer.out_channels)
            if name != "c":
                layers[f"act_{name}"] = nn.ReLU()
        self.branch2 = nn.Sequential(layers)

    def forward(self, x):
        shortcut = self.branch1_norm(self.branch1_conv(x)) if hasattr(self, "branch1_conv") else x
        return (shortcut + self.branch2(x)).relu()


class Stage(nn.Module):
    def __init__(self, depth: int, inputs: int, outputs: int, frames: int, stride: int) -> None:
        super().__init__()
        first = Residual(inputs, outputs, frames, stride)
        self.res_blocks = nn.ModuleList([first, *[Residual(outputs, outputs, frames, 1) for _ in range(depth - 1)]])

    def forward(self, x):
        for block in self.res_blocks:
            x = block(x)
        return x


class Stem(nn.Module):
    def __init__(self, outputs: int, frames: int) -> None:
        super().__init__()
        self.conv = convolution(3, outputs, frames, 7, (1, 2))
        self.norm = nn.BatchNorm3d(outputs)
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))

    def forward(self, x):
        return self.pool(self.norm(self.conv(x)).relu())


class Lateral(nn.Module):
    """From the fast pathway to the slow one, along time."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_fast_to_slow = nn.Conv3d(channels, 2 * channels, (7, 1, 1), (4, 1, 1), (3, 0, 0), bias=False)
        self.norm = nn.BatchNorm3d(2 * channels)

    def forward(self, slow, fast):
        return torch.cat([slow, self.norm(self.conv_fast_to_slow(fast)).relu()], dim=1)


class SlowFast(nn.Module):
    """SlowFast-R50 8x8; gives the features of its moments, `[batch, width, moments, 1, 1]`."""

    def __init__(self, count: int) -> None:
        """With so many classes."""
        super().__init__()

        def pathways(slow: nn.Module, fast: nn.Module, channels: int = 0) -> nn.Module:
            block = nn.Module()
            block.multipathway_blocks = nn.ModuleList([slow, fast])
            if channels:
                block.multipathway_fusion = Lateral(channels)
            return block

        blocks = [pathways(Stem(64, 1), Stem(8, 5), 8)]
        slow, fast = 64 + 2 * 8, 8
        for number, (depth, frames, stride) in enumerate([(3, 1, 1), (4, 1, 2), (6, 3, 2), (3, 3, 2)]):
            outputs = 256 << number
            stages = Stage(depth, slow, outputs, frames, stride), Stage(depth, fast, outputs // 8, 3, stride)
            blocks.append(pathways(*stages, outputs // 8 if number < 3 else 0))
            slow, fast = outputs + 2 * outputs // 8, outputs // 8
        # The pooling before the classes, which has no parameters.
        blocks.append(nn.Identity())
        classes = nn.Module()
        classes.proj = nn.Linear(2048 + 256, count)
        blocks.append(classes)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, clip):
        slow, fast = clip[:, :, ::4], clip
        for block in self.blocks[:5]:
            slow, fast = [pathway(x) for pathway, x in zip(block.multipathway_blocks, (slow, fast))]
            if hasattr(block, "multipathway_fusion"):
                slow = block.multipathway_fusion(slow, fast)
        slow, fast = slow.mean((3, 4)), fast.mean((3, 4))
        slow = nn.functional.interpolate(slow, size=fast.shape[2], mode="linear", align_corners=False)
        return torch.cat([slow, fast], dim=1)[..., None, None]
