"""Goldens for the EfficientNets: seeded weights through timm, and EmotiEffLib's ONNX layout.

    pip install torch==2.8.0 timm==1.0.20 onnx==1.17.0
    python tests/goldens/backbones.py          # writes tests/goldens/backbones/

Weights of 16 and 30 MB are not committed. Both sides draw them from the same hash of name and index
(`uniform` here, `Seeded` in tests/native/backbones.rs); committed are names, shapes and expected outputs.

The ONNX fixture is what EmotiEffLib's export gives for the same seeded model (torch.onnx.export, opset 11,
constants folded, dynamic batch axis) with the bytes of every float initializer of a convolution or of the
classifier taken out. `layers` in the JSON names, for each of them, the timm parameter that it came from. That is
found by comparing values with the folded timm weights, not by order, so that the Rust reader's mapping by
order is put to the test. The test folds the seeded batch norms again, puts the bytes back, and reads the file.
"""

import io
import json
import pathlib

import numpy as np
import onnx
import timm
import torch

HERE = pathlib.Path(__file__).parent / "backbones"
EPSILON = 1e-3


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
    if len(shape) == 1:
        return f(1) + f(0.25) * u
    fan_in = int(np.prod(shape[1:]))
    return u * np.sqrt(f(4.5) / f(fan_in))


def golden(name: str, architecture: str, side: int) -> None:
    model = timm.create_model(architecture, pretrained=False, num_classes=8).eval()
    shapes = {k: list(v.shape) for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    state = {k: torch.from_numpy(parameter(k, shape)) for k, shape in shapes.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all(k.endswith("num_batches_tracked") for k in missing)

    faces = torch.from_numpy(2 * uniform("input", 3 * side * side).reshape(1, 3, side, side))
    with torch.no_grad():
        embedding = model.forward_head(model.forward_features(faces), pre_logits=True)
        logits = model(faces)
    print(name, "embedding", embedding.mean().item(), embedding.std().item(), embedding.abs().max().item())
    print(name, "logits", logits.tolist())

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
                "embedding": [float(f"{v:.8g}") for v in embedding[0].tolist()],
                "logits": [float(f"{v:.8g}") for v in logits[0].tolist()],
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
    """timm's parameters by name, batch norm folded into the convolution before it."""
    result = {}
    convolution = None
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            convolution = name
            result[f"{name}.weight"] = module.weight.detach().double().numpy()
            if module.bias is not None:
                result[f"{name}.bias"] = module.bias.detach().numpy()
        elif isinstance(module, torch.nn.BatchNorm2d):
            before = convolution if "." not in name else batch_norm_owner(name, model)
            scale = (module.weight.double() / (module.running_var.double() + EPSILON).sqrt()).detach().numpy()
            result[f"{before}.weight"] = result[f"{before}.weight"] * scale[:, None, None, None]
            result[f"{before}.bias"] = module.bias.detach().numpy() - module.running_mean.numpy() * scale
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


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    golden("emotieffnet-b0", "tf_efficientnet_b0", 224)
    golden("emotieffnet-b2", "tf_efficientnet_b2", 260)
