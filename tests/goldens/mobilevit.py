"""Goldens for MobileViT: seeded weights through timm, and the layout of an ONNX file.

    pip install torch==2.15.0 torchvision==0.29.2 timm==1.0.31 onnx==1.23.2 onnxruntime==1.32.0
    python tests/goldens/mobilevit.py          # writes tests/goldens/backbones/mobilevit-*

Weights are drawn from a hash of name and index as in backbones.py; committed are names, shapes and expected outputs of ten
outputs each, as EmotiEffLib's multi-task models have. The layers fit pictures of any side: small ones keep the test short,
and sides that are no multiple of 64 leave maps that are not whole patches, which the network resizes.

The ONNX fixture is what EmotiEffLib's export gives for XXS (opset 11, constants folded), as in backbones.py with the bytes of
every float initializer taken out. Nodes without parameters are taken out too, for there are a thousand. `layers` in the JSON
names the parameter that each initializer came from, found by comparing values.
"""

import io
import json

import numpy as np
import onnx
import timm
import torch
from timm.layers import set_fused_attn

from backbones import HERE, rounded, run, seed, uniform

OUTPUTS = 10
EPSILON = 1e-5


def golden(variant: str, side: int, exports: bool) -> None:
    model = timm.create_model(f"mobilevit_{variant}", pretrained=False, num_classes=OUTPUTS, exportable=True).eval()
    shapes = seed(model)
    faces = torch.from_numpy(2 * uniform("input", 3 * side * side).reshape(1, 3, side, side))
    with torch.no_grad():
        embedding = model.forward_head(model.forward_features(faces), pre_logits=True)
        logits = model(faces)
    name = f"mobilevit-{variant}"
    count = sum(p.numel() for p in model.parameters())
    print(name, "parameters", count, "without classifier", count - sum(p.numel() for p in model.head.parameters()))
    print(name, "embedding", embedding.mean().item(), embedding.std().item(), embedding.abs().max().item())
    print(name, "logits", logits.tolist())
    layers = {}
    if exports:
        layers, stripped, whole = export(model, faces)
        assert np.allclose(run(whole, faces), logits, rtol=1e-4, atol=1e-4)
        (HERE / f"{name}.onnx").write_bytes(stripped)
    made_by = f"tests/goldens/mobilevit.py, torch {torch.__version__}, timm {timm.__version__}, onnx {onnx.__version__}"
    text = {
        "made_by": made_by,
        "side": side,
        "shapes": shapes,
        "layers": layers,
        "embedding": rounded(embedding[0]),
        "logits": rounded(logits[0]),
    }
    (HERE / f"{name}.json").write_text(json.dumps(text))


def export(model: torch.nn.Module, faces: torch.Tensor) -> tuple[dict[str, str], bytes, bytes]:
    """The initializers' origins, the file without their bytes, and the whole file."""
    buffer = io.BytesIO()
    axes = {"input": {0: "batch_size"}, "output": {0: "batch_size"}}
    torch.onnx.export(
        model,
        faces,
        buffer,
        export_params=True,
        opset_version=11,
        do_constant_folding=True,
        input_names=["input"],
        output_names=["output"],
        dynamic_axes=axes,
        dynamo=False,
    )
    graph = onnx.load_from_string(buffer.getvalue())
    origins = folded(model)
    layers = {}
    for tensor in graph.graph.initializer:
        assert tensor.data_type == onnx.TensorProto.FLOAT, tensor.name
        values = onnx.numpy_helper.to_array(tensor)
        matches = [
            name
            for name, expected in origins.items()
            if expected.shape == values.shape and np.allclose(values, expected, rtol=1e-4, atol=1e-6)
        ]
        assert len(matches) == 1, (tensor.name, matches)
        layers[tensor.name] = matches[0]
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
    assert sorted(layers.values()) == sorted(origins), set(origins) - set(layers.values())
    nodes = [node for node in graph.graph.node if node.op_type in ["Conv", "MatMul", "Gemm"]]
    for node in nodes:
        node.ClearField("name")
    graph.graph.ClearField("node")
    graph.graph.node.extend(nodes)
    graph.graph.ClearField("value_info")
    return layers, graph.SerializeToString(), buffer.getvalue()


def folded(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """The model's parameters by name as an exporter writes them: batch norm folded, matrices transposed."""
    state = {name: tensor.detach().double().numpy() for name, tensor in model.state_dict().items()}
    result = {}
    for name, values in state.items():
        layer, part = name.rsplit(".", 1)
        if layer.endswith(".bn") or part == "num_batches_tracked":
            continue
        if layer.endswith(".conv"):
            norm = layer.removesuffix("conv") + "bn"
            scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + EPSILON)
            result[name] = values * scale[:, None, None, None]
            result[f"{layer}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
        elif values.ndim == 2 and layer != "head.fc":
            result[name] = values.T
        else:
            result[name] = values
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)
    set_fused_attn(False)
    for variant, side in [("xxs", 96), ("xs", 160), ("s", 224)]:
        golden(variant, side, variant == "xxs")
