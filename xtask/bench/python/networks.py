"""The benchmark's networks, step by step, for whoever writes them down.

A writer makes a `Graph` of its own and gets the steps of a network from the function of its name. Maps are names; their
shapes are those of one picture: channels, height and width, or rows and values, or values.

The networks are the published architectures with batch norm already folded: what an exporter gives. They have one output,
`[batch, values]`, the parts of one picture after each other, as `Network.run` gives them.
"""

import numpy as np

from weights import SeededWeights

# expansion, kernel, stride, channels, repeats: crates/formats/src/architecture/efficientnet.rs
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
# stride of the depthwise convolution, output channels: crates/formats/src/architecture/mobilenet_v1.rs
MOBILENET_BLOCKS = [
    *[(1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512)],
    *[(1, 512)] * 5,
    *[(2, 1024), (1, 1024)],
]
# channels in, channels out, stride: crates/formats/src/architecture/blazeface.rs
BLAZEFACE_BLOCKS = [
    *[(24, 24, 1), (24, 28, 1), (28, 32, 2), (32, 36, 1), (36, 42, 1), (42, 48, 2), (48, 56, 1), (56, 64, 1)],
    *[(64, 72, 1), (72, 80, 1), (80, 88, 1), (88, 96, 2)],
    *[(96, 96, 1)] * 4,
]
# blocks before it, anchors in each cell
BLAZEFACE_HEADS = [(11, 2), (16, 6)]
# channels inside the blocks, channels between them, blocks, stride of the first: crates/formats/src/architecture/face_mesh.rs
MESH_STAGES = [(8, 16, 4, 1), (16, 32, 5, 2), (32, 64, 5, 2), *[(64, 128, 5, 2)] * 4]
MESH_HEADS = [("landmarks", 478 * 3), ("presence", 1)]
# channels, blocks: crates/formats/src/architecture/convnext.rs
CONVNEXT_STAGES = [(96, 3), (192, 3), (384, 9), (768, 3)]
NORM_EPSILON = 1e-6


def same_padding(side, kernel, stride):
    """Pixels before and after: TensorFlow's SAME, where an odd one lies at the bottom and right."""
    outputs = -(-side // stride)
    total = max((outputs - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


class Graph:
    """What all writers share: parameters, shapes, and how much arithmetic and memory traffic one picture costs.

    A writer adds one method for each step that is `NotImplemented` here, and `save`.
    """

    def __init__(self, name, weights):
        self.name = name
        self.weights = weights
        self.macs = 0
        # Every activation written once and read once, were each convolution fused with what follows it.
        self.activations = 0
        self.shapes = {"input": (3, weights.side, weights.side)}

    def parameter(self, name, shape):
        if isinstance(self.weights, SeededWeights):
            return self.weights.parameter(name, shape)
        values = self.weights[name]
        assert values.shape == tuple(shape), f"weight `{name}` has shape {values.shape}, expected {shape}"
        return values

    def convolution(self, x, name, outputs, kernel=1, stride=1, depthwise=False, padded=True):
        """With TensorFlow's SAME padding, or with none."""
        inputs, height, width = self.shapes[x]
        shape = (outputs, 1 if depthwise else inputs, kernel, kernel)
        weight, bias = self.parameter(f"{name}.weight", shape), self.parameter(f"{name}.bias", shape[:1])
        covered = 0 if padded else kernel - 1
        size = tuple(-(-(side - covered) // stride) for side in (height, width))
        self.macs += int(np.prod(shape)) * size[0] * size[1]
        self.activations += inputs * height * width + outputs * size[0] * size[1]
        return self.convolve(x, name, weight, bias, (outputs, *size), stride, depthwise, padded)

    def dense(self, x, name, outputs):
        shape = (outputs, self.shapes[x][0])
        weight, bias = self.parameter(f"{name}.weight", shape), self.parameter(f"{name}.bias", shape[:1])
        self.macs += int(np.prod(shape))
        return self.multiply_matrix(x, name, weight, bias, shape[:1])

    def silu(self, x):
        return self.multiply(x, self.sigmoid(x))

    def prelu(self, x, name):
        channels = self.shapes[x][0]
        return self.lean(x, f"{name}.slopes", self.parameter(f"{name}.slopes", (channels,)))

    def layer_norm(self, x, name):
        """Over the channels, or the values."""
        size = self.shapes[x][:1]
        return self.normalise(x, name, *(self.parameter(f"{name}.{part}", size) for part in ("weight", "bias")))

    def facts(self, output):
        return {
            "side": self.weights.side,
            "values": int(np.prod(self.shapes[output])),
            "multiplications": self.macs,
            "parameter_bytes": 4 * sum(int(values.size) for values in self.weights.values()),
            "activation_bytes": 4 * int(self.activations),
        }

    convolve = multiply_matrix = lean = normalise = NotImplemented
    relu = relu6 = sigmoid = gelu = add = multiply = NotImplemented
    # Means over height and width; the largest of squares; channels of zeros at the end.
    pool = max_pool = pad_channels = NotImplemented
    # All values in a row; rows of so many values, pixel by pixel; one after the other, along an axis of the shape.
    flatten = rows = concatenate = NotImplemented


def efficientnet(graph, activation, is_squeezed):
    x = activation(graph.convolution("input", "conv_stem", 32, kernel=3, stride=2))
    inputs = 32
    for stage, (expansion, kernel, stride, outputs, repeats) in enumerate(EFFICIENTNET_STAGES):
        for index in range(repeats):
            name = f"blocks.{stage}.{index}"
            step = stride if index == 0 else 1
            hidden = inputs * expansion
            shortcut = x
            if expansion > 1:
                x = activation(graph.convolution(x, f"{name}.conv_pw", hidden))
            x = graph.convolution(x, f"{name}.conv_dw", hidden, kernel=kernel, stride=step, depthwise=True)
            x = activation(x)
            if is_squeezed:
                squeezed = activation(graph.convolution(graph.pool(x), f"{name}.se.conv_reduce", inputs // 4))
                gate = graph.sigmoid(graph.convolution(squeezed, f"{name}.se.conv_expand", hidden))
                x = graph.multiply(x, gate)
            project = "conv_pwl" if expansion > 1 else "conv_pw"
            x = graph.convolution(x, f"{name}.{project}", outputs)
            if step == 1 and inputs == outputs:
                x = graph.add(x, shortcut)
            inputs = outputs
    return graph.flatten(graph.pool(activation(graph.convolution(x, "conv_head", 1280))))


def efficientnet_b0(graph):
    embedding = efficientnet(graph, graph.silu, is_squeezed=True)
    logits = graph.dense(embedding, "classifier", EFFICIENTNET_CLASSES)
    return graph.concatenate([embedding, logits], 0)


def efficientnet_lite0(graph):
    return efficientnet(graph, graph.relu6, is_squeezed=False)


def mobilenet(graph):
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
        x = graph.relu(graph.add(branch, shortcut_like(graph, x, outputs, stride)))
        for head, (blocks, anchors) in enumerate(BLAZEFACE_HEADS):
            if index + 1 == blocks:
                parts = [("boxes", 16), ("scores", 1)]
                maps = [
                    graph.rows(graph.convolution(x, f"heads.{head}.{part}", anchors * values), values)
                    for part, values in parts
                ]
                heads.append(graph.concatenate(maps, 1))
    return graph.flatten(graph.concatenate(heads, 0))


def face_mesh(graph):
    x = graph.prelu(graph.convolution("input", "stem", 16, kernel=3, stride=2), "stem")
    count = 0
    for inside, outputs, blocks, first_stride in MESH_STAGES:
        for index in range(blocks):
            name = f"blocks.{count}"
            stride = first_stride if index == 0 else 1
            branch = graph.convolution(x, f"{name}.reduce", inside, kernel=stride, stride=stride)
            branch = graph.prelu(branch, f"{name}.reduce")
            branch = graph.convolution(branch, f"{name}.depthwise", inside, kernel=3, depthwise=True)
            branch = graph.convolution(branch, f"{name}.expand", outputs)
            x = graph.prelu(graph.add(branch, shortcut_like(graph, x, outputs, stride)), f"{name}.expand")
            count += 1
    heads = [graph.convolution(x, name, values, kernel=2, padded=False) for name, values in MESH_HEADS]
    return graph.concatenate([graph.flatten(head) for head in heads], 0)


def shortcut_like(graph, x, outputs, stride):
    """A block's input in the shape of its output."""
    if stride > 1:
        x = graph.max_pool(x, stride)
    if outputs > graph.shapes[x][0]:
        x = graph.pad_channels(x, outputs)
    return x


def convnext(graph):
    x = graph.layer_norm(
        graph.convolution("input", "stem.0", CONVNEXT_STAGES[0][0], kernel=4, stride=4, padded=False), "stem.1"
    )
    for stage, (channels, blocks) in enumerate(CONVNEXT_STAGES):
        name = f"stages.{stage}"
        if stage > 0:
            x = graph.layer_norm(x, f"{name}.downsample.0")
            x = graph.convolution(x, f"{name}.downsample.1", channels, kernel=2, stride=2, padded=False)
        for index in range(blocks):
            block = f"{name}.blocks.{index}"
            branch = graph.convolution(x, f"{block}.conv_dw", channels, kernel=7, depthwise=True)
            branch = graph.layer_norm(branch, f"{block}.norm")
            branch = graph.gelu(graph.convolution(branch, f"{block}.mlp.fc1", 4 * channels))
            x = graph.add(graph.convolution(branch, f"{block}.mlp.fc2", channels), x)
    return graph.layer_norm(graph.flatten(graph.pool(x)), "head.norm")
