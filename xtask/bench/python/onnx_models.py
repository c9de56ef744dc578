"""Writes networks as ONNX, for pictures `[batch, 3, side, side]`.

Needs onnx and numpy.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from networks import NORM_EPSILON, Graph, same_padding

OPSET = 20


class OnnxGraph(Graph):
    """Nodes of an ONNX graph."""

    def __init__(self, name, weights):
        super().__init__(name, weights)
        self.nodes = []
        self.initializers = {}

    def constant(self, name, values):
        self.initializers[name] = values
        return name

    def node(self, kind, inputs, shape, **attributes):
        output = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        self.shapes[output] = shape
        return output

    def convolve(self, x, name, weight, bias, shape, stride, depthwise, padded):
        inputs, *sides = self.shapes[x]
        kernel = weight.shape[2]
        around = [same_padding(side, kernel, stride) if padded else (0, 0) for side in sides]
        before, after = zip(*around)
        parameters = [self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        return self.node(
            "Conv",
            [x, *parameters],
            shape,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[*before, *after],
            group=inputs if depthwise else 1,
        )

    def multiply_matrix(self, x, name, weight, bias, shape):
        parameters = [self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        return self.node("Gemm", [x, *parameters], shape, transB=1)

    def lean(self, x, name, slopes):
        return self.node("PRelu", [x, self.constant(name, slopes[:, None, None])], self.shapes[x])

    def normalise(self, x, name, weight, bias):
        """The operator norms the last axes: an exporter puts transpositions around it."""
        shape = self.shapes[x]
        parameters = [self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        if len(shape) == 1:
            return self.node("LayerNormalization", [x, *parameters], shape, axis=-1, epsilon=NORM_EPSILON)
        last = self.node("Transpose", [x], (*shape[1:], shape[0]), perm=[0, 2, 3, 1])
        normed = self.node("LayerNormalization", [last, *parameters], self.shapes[last], axis=-1, epsilon=NORM_EPSILON)
        return self.node("Transpose", [normed], shape, perm=[0, 3, 1, 2])

    def relu(self, x):
        return self.node("Relu", [x], self.shapes[x])

    def relu6(self, x):
        zero, six = (self.constant(f"bound_{value}", np.array(value, np.float32)) for value in (0, 6))
        return self.node("Clip", [x, zero, six], self.shapes[x])

    def sigmoid(self, x):
        return self.node("Sigmoid", [x], self.shapes[x])

    def gelu(self, x):
        return self.node("Gelu", [x], self.shapes[x])

    def add(self, a, b):
        return self.node("Add", [a, b], self.shapes[a])

    def multiply(self, a, b):
        return self.node("Mul", [a, b], self.shapes[a])

    def pool(self, x):
        return self.node("GlobalAveragePool", [x], (self.shapes[x][0], 1, 1))

    def max_pool(self, x, side):
        channels, *sides = self.shapes[x]
        shape = (channels, *(length // side for length in sides))
        return self.node("MaxPool", [x], shape, kernel_shape=[side, side], strides=[side, side])

    def pad_channels(self, x, channels):
        added = channels - self.shapes[x][0]
        pads = self.constant(f"pads_{added}", np.array([0, 0, 0, 0, 0, added, 0, 0], np.int64))
        return self.node("Pad", [x, pads], (channels, *self.shapes[x][1:]))

    def flatten(self, x):
        return self.node("Flatten", [x], (int(np.prod(self.shapes[x])),), axis=1)

    def rows(self, x, values):
        channels, height, width = self.shapes[x]
        last = self.node("Transpose", [x], (height, width, channels), perm=[0, 2, 3, 1])
        count = height * width * channels // values
        # Zero keeps the batch.
        shape = self.constant(f"shape_{count}_{values}", np.array([0, count, values], np.int64))
        return self.node("Reshape", [last, shape], (count, values))

    def concatenate(self, maps, axis):
        shape = list(self.shapes[maps[0]])
        shape[axis] = sum(self.shapes[x][axis] for x in maps)
        return self.node("Concat", maps, tuple(shape), axis=1 + axis)

    def save(self, file, output):
        self.nodes[-1].output[0] = "output"
        side = self.weights.side
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, side, side])],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", *self.shapes[output]])],
            [numpy_helper.from_array(np.ascontiguousarray(values), name) for name, values in self.initializers.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, file)
