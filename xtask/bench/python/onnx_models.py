"""Writes the benchmark's networks for every engine: the same weights as safetensors and as ONNX, and the same input.

    python onnx_models.py WEIGHTS PICTURES OUT

WEIGHTS is the folder with `faceres.safetensors` and `blazeface-short-range.safetensors`; PICTURES a file of raw
RGB pictures, four of 256x256 pixels. OUT receives, for each network, NAME.safetensors, NAME.onnx, NAME.input (four
pictures, `[4, 3, side, side]` little-endian floats) and models.json.

The ONNX graphs are the published architectures with batch norm already folded: what an exporter gives. They have one
output, `[batch, values]`, the parts of one picture after each other, as `Network.run` gives them. EmotiEffNet-B0 has
seeded weights (`tests/goldens/backbones.py` seeds alike): times do not depend on their values.

Needs onnx and numpy.
"""

import json
import pathlib
import shutil
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
PICTURE_SIDE = 256
BATCH = 4

# expansion, kernel, stride, channels, repeats: src/backbone/efficientnet.rs
EFFICIENTNET_STAGES = [
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
]
EFFICIENTNET_CLASSES = 8
# stride of the depthwise convolution, output channels: src/backbone/mobilenet_v1.rs
MOBILENET_BLOCKS = [
    *[(1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512)],
    *[(1, 512)] * 5,
    *[(2, 1024), (1, 1024)],
]
# channels in, channels out, stride: src/detect/blazeface.rs
BLAZEFACE_BLOCKS = [
    *[(24, 24, 1), (24, 28, 1), (28, 32, 2), (32, 36, 1), (36, 42, 1), (42, 48, 2), (48, 56, 1), (56, 64, 1)],
    *[(64, 72, 1), (72, 80, 1), (80, 88, 1), (88, 96, 2)],
    *[(96, 96, 1)] * 4,
]
# blocks before it, anchors in each cell
BLAZEFACE_HEADS = [(11, 2), (16, 6)]


def uniform(name, count):
    """`count` numbers in [-1, 1) that depend on the name only."""
    mask = (1 << 64) - 1
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & mask
    x = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)


def seeded(name, shape):
    values = uniform(name, int(np.prod(shape)))
    if name.endswith("bias"):
        return (values * np.float32(0.25)).reshape(shape)
    fan_in = int(np.prod(shape[1:]))
    # With less the pictures would drown in the biases and every output would be alike, with more the values explode.
    return (values * np.float32((7.0 / fan_in) ** 0.5)).reshape(shape)


def read_safetensors(file):
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    types = {"F32": np.float32, "F16": np.float16}
    weights = {}
    for name, entry in header.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        values = np.frombuffer(data[start:end], types[entry["dtype"]])
        weights[name] = values.astype(np.float32).reshape(entry["shape"])
    return weights, metadata


def write_safetensors(file, weights, metadata):
    header = {"__metadata__": metadata}
    offset = 0
    for name, values in weights.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(values.tobytes() for values in weights.values()))


class Weights(dict):
    """Parameters by name, with what the file says about itself."""

    def __init__(self, weights, metadata):
        super().__init__(weights)
        self.metadata = metadata

    @property
    def side(self):
        return int(self.metadata["input_side"])


class SeededWeights(Weights):
    """Makes each parameter when it is first asked for."""

    def __init__(self, metadata):
        super().__init__({}, metadata)

    def parameter(self, name, shape):
        if name not in self:
            self[name] = seeded(name, shape)
        return self[name]


class Graph:
    """Nodes of an ONNX graph, and how much arithmetic and memory traffic one picture costs."""

    def __init__(self, name, weights):
        self.name = name
        self.weights = weights
        self.nodes = []
        self.initializers = {}
        self.macs = 0
        # Every activation written once and read once, were each convolution fused with what follows it.
        self.activations = 0
        self.shapes = {"input": (3, weights.side, weights.side)}

    def parameter(self, name, shape):
        if isinstance(self.weights, SeededWeights):
            values = self.weights.parameter(name, shape)
        else:
            values = self.weights[name]
        assert values.shape == tuple(shape), f"weight `{name}` has shape {values.shape}, expected {shape}"
        self.initializers[name] = values
        return name

    def constant(self, name, values):
        self.initializers[name] = values
        return name

    def node(self, kind, inputs, shape, **attributes):
        output = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        self.shapes[output] = shape
        return output

    def convolution(self, x, name, outputs, kernel=1, stride=1, depthwise=False):
        """With TensorFlow's SAME padding: where it is odd the extra pixel lies at the bottom and right."""
        inputs, height, width = self.shapes[x]
        groups = inputs if depthwise else 1
        shape = (outputs, inputs // groups, kernel, kernel)
        weight, bias = self.parameter(f"{name}.weight", shape), self.parameter(f"{name}.bias", shape[:1])
        before, after = zip(*(same_padding(side, kernel, stride) for side in (height, width)))
        size = (-(-height // stride), -(-width // stride))
        self.macs += int(np.prod(shape)) * size[0] * size[1]
        self.activations += inputs * height * width + outputs * size[0] * size[1]
        return self.node(
            "Conv",
            [x, weight, bias],
            (outputs, *size),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[*before, *after],
            group=groups,
        )

    def sigmoid(self, x):
        return self.node("Sigmoid", [x], self.shapes[x])

    def silu(self, x):
        return self.node("Mul", [x, self.sigmoid(x)], self.shapes[x])

    def relu(self, x):
        return self.node("Relu", [x], self.shapes[x])

    def relu6(self, x):
        zero, six = (self.constant(f"clip_{value}", np.array(value, np.float32)) for value in (0, 6))
        return self.node("Clip", [x, zero, six], self.shapes[x])

    def add(self, a, b):
        return self.node("Add", [a, b], self.shapes[a])

    def multiply(self, a, b):
        return self.node("Mul", [a, b], self.shapes[a])

    def pool(self, x):
        return self.node("GlobalAveragePool", [x], (self.shapes[x][0], 1, 1))

    def flatten(self, x):
        return self.node("Flatten", [x], (int(np.prod(self.shapes[x])),), axis=1)

    def save(self, file, output):
        values = self.shapes[output]
        self.nodes[-1].output[0] = "output"
        side = self.weights.side
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, side, side])],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", *values])],
            [numpy_helper.from_array(values, name) for name, values in self.initializers.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, file)
        parameters = sum(values.size for values in self.weights.values())
        return {
            "side": side,
            "values": int(np.prod(values)),
            "multiplications": self.macs,
            "parameter_bytes": 4 * int(parameters),
            "activation_bytes": 4 * int(self.activations),
        }


def same_padding(side, kernel, stride):
    outputs = -(-side // stride)
    total = max((outputs - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def efficientnet_b0(graph):
    x = graph.silu(graph.convolution("input", "conv_stem", 32, kernel=3, stride=2))
    inputs = 32
    for stage, (expansion, kernel, stride, outputs, repeats) in enumerate(EFFICIENTNET_STAGES):
        for index in range(repeats):
            name = f"blocks.{stage}.{index}"
            step = stride if index == 0 else 1
            hidden = inputs * expansion
            shortcut = x
            if expansion > 1:
                x = graph.silu(graph.convolution(x, f"{name}.conv_pw", hidden))
            x = graph.convolution(x, f"{name}.conv_dw", hidden, kernel=kernel, stride=step, depthwise=True)
            x = graph.silu(x)
            squeezed = graph.silu(graph.convolution(graph.pool(x), f"{name}.se.conv_reduce", inputs // 4))
            gate = graph.sigmoid(graph.convolution(squeezed, f"{name}.se.conv_expand", hidden))
            project = "conv_pwl" if expansion > 1 else "conv_pw"
            x = graph.convolution(graph.multiply(x, gate), f"{name}.{project}", outputs)
            if step == 1 and inputs == outputs:
                x = graph.add(x, shortcut)
            inputs = outputs
    x = graph.silu(graph.convolution(x, "conv_head", 1280))
    embedding = graph.flatten(graph.pool(x))
    weight = graph.parameter("classifier.weight", (EFFICIENTNET_CLASSES, 1280))
    bias = graph.parameter("classifier.bias", (EFFICIENTNET_CLASSES,))
    logits = graph.node("Gemm", [embedding, weight, bias], (EFFICIENTNET_CLASSES,), transB=1)
    return graph.node("Concat", [embedding, logits], (1280 + EFFICIENTNET_CLASSES,), axis=1)


def faceres(graph):
    x = graph.relu6(graph.convolution("input", "conv_stem", 32, kernel=3, stride=2))
    for index, (stride, outputs) in enumerate(MOBILENET_BLOCKS):
        channels = graph.shapes[x][0]
        x = graph.convolution(x, f"blocks.{index}.conv_dw", channels, kernel=3, stride=stride, depthwise=True)
        x = graph.relu6(x)
        x = graph.relu6(graph.convolution(x, f"blocks.{index}.conv_pw", outputs))
    return graph.flatten(graph.pool(x))


def blazeface(graph):
    x = graph.relu(graph.convolution("input", "stem", 24, kernel=5, stride=2))
    heads = []
    for index, (inputs, outputs, stride) in enumerate(BLAZEFACE_BLOCKS):
        name = f"blocks.{index}"
        branch = graph.convolution(x, f"{name}.depthwise", inputs, kernel=3, stride=stride, depthwise=True)
        branch = graph.convolution(branch, f"{name}.pointwise", outputs)
        _, height, width = graph.shapes[x]
        if stride > 1:
            size = (inputs, height // stride, width // stride)
            x = graph.node("MaxPool", [x], size, kernel_shape=[stride, stride], strides=[stride, stride])
        if outputs > inputs:
            pads = np.array([0, 0, 0, 0, 0, outputs - inputs, 0, 0], np.int64)
            pads = graph.constant(f"pads_{outputs - inputs}", pads)
            x = graph.node("Pad", [x, pads], (outputs, *graph.shapes[x][1:]))
        x = graph.relu(graph.add(branch, x))
        for head, (blocks, anchors) in enumerate(BLAZEFACE_HEADS):
            if index + 1 == blocks:
                heads.append(blazeface_head(graph, x, head, anchors))
    anchors = sum(graph.shapes[head][0] for head in heads)
    return graph.flatten(graph.node("Concat", heads, (anchors, 17), axis=1))


def blazeface_head(graph, x, head, anchors):
    parts = []
    for part, values in (("boxes", 16), ("scores", 1)):
        maps = graph.convolution(x, f"heads.{head}.{part}", anchors * values)
        _, height, width = graph.shapes[maps]
        last = graph.node("Transpose", [maps], (height, width, anchors * values), perm=[0, 2, 3, 1])
        count = height * width * anchors
        # Zero keeps the batch.
        shape = graph.constant(f"shape_{count}_{values}", np.array([0, count, values], np.int64))
        parts.append(graph.node("Reshape", [last, shape], (count, values)))
    return graph.node("Concat", parts, (graph.shapes[parts[0]][0], 17), axis=2)


def numbers(text):
    return np.array(json.loads(text) if text.startswith("[") else text.split(","), np.float32)


def write_input(file, pictures, weights):
    """The middle of each picture, normalised."""
    margin = (PICTURE_SIDE - weights.side) // 2
    middle = pictures[:, margin : margin + weights.side, margin : margin + weights.side]
    mean, std = (numbers(weights.metadata[key]) for key in ("mean", "std"))
    normalised = (middle.astype(np.float32) - mean) / std
    file.write_bytes(np.ascontiguousarray(normalised.transpose(0, 3, 1, 2), np.float32).tobytes())


def main():
    source, pictures, out = (pathlib.Path(argument) for argument in sys.argv[1:4])
    out.mkdir(parents=True, exist_ok=True)
    pictures = np.fromfile(pictures, np.uint8).reshape(BATCH, PICTURE_SIDE, PICTURE_SIDE, 3)
    imagenet = [[255 * value for value in row] for row in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
    metadata = {"architecture": "emotieffnet-b0", "input_side": "224", "licence": "", "source": "seeded"}
    metadata |= {key: json.dumps(row) for key, row in zip(("mean", "std"), imagenet)}
    networks = {
        "emotieffnet-b0": (efficientnet_b0, SeededWeights(metadata)),
        "faceres": (faceres, None),
        "blazeface-short-range": (blazeface, None),
    }
    facts = {}
    for name, (build, weights) in networks.items():
        if weights is None:
            weights = Weights(*read_safetensors(source / f"{name}.safetensors"))
        graph = Graph(name, weights)
        facts[name] = graph.save(out / f"{name}.onnx", build(graph))
        file = out / f"{name}.safetensors"
        if isinstance(weights, SeededWeights):
            write_safetensors(file, weights, weights.metadata)
        else:
            shutil.copyfile(source / file.name, file)
        write_input(out / f"{name}.input", pictures, weights)
    (out / "models.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
