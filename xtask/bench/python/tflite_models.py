"""Writes networks as tflite, for pictures `[batch, side, side, 3]`: 32-bit floats, channels last.

What follows a convolution or an addition and can be part of it is, as in what TensorFlow's converter gives.

Needs ai-edge-litert, flatbuffers and numpy.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from networks import NORM_EPSILON, Graph

KINDS, PADDINGS, ACTIVATIONS = schema.BuiltinOperator, schema.Padding, schema.ActivationFunctionType
# The version of the file's layout, and the largest operator number in its old field.
LAYOUT_VERSION, LARGEST_OLD_NUMBER = 3, 127
# Buffer that is empty, as the layout wants it.
EMPTY = 0


class TfliteGraph(Graph):
    """Operators and tensors of a tflite graph for one batch size."""

    def __init__(self, name, weights, batch=1):
        super().__init__(name, weights)
        self.batch = batch
        self.buffers, self.tensors, self.operators, self.kinds = [schema.BufferT()], [], [], []
        # Name of a map or constant: place of its tensor.
        self.places = {}
        self.tensor("input", self.stored_shape("input"))

    def stored_shape(self, x):
        *first, last = self.shapes[x] if len(self.shapes[x]) < 3 else (*self.shapes[x][1:], self.shapes[x][0])
        return [self.batch, *first, last]

    def tensor(self, name, shape, kind=np.float32, buffer=EMPTY):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, np.array(shape, np.int32), buffer
        tensor.type = schema.TensorType.FLOAT32 if kind == np.float32 else schema.TensorType.INT32
        self.places[name] = len(self.tensors)
        self.tensors.append(tensor)

    def constant(self, name, values):
        if name not in self.places:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
            self.tensor(name, values.shape, values.dtype, len(self.buffers))
            self.buffers.append(buffer)
        return name

    def operator(self, kind, inputs, shape, options=None, **fields):
        """`fields` are those of `options`, a table of the layout by its name."""
        if kind not in self.kinds:
            self.kinds.append(kind)
        output = f"map_{len(self.operators)}"
        self.shapes[output] = shape
        self.tensor(output, self.stored_shape(output))
        operator = schema.OperatorT()
        operator.opcodeIndex = self.kinds.index(kind)
        operator.inputs = [self.places[name] for name in inputs]
        operator.outputs = [self.places[output]]
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, f"{options}T")()
            for field, value in fields.items():
                setattr(operator.builtinOptions, field, value)
        self.operators.append(operator)
        return output

    def activated(self, x, kind, activation):
        """As a part of the operator that gives the map; nothing else has read it yet."""
        last = self.operators[-1]
        if last.outputs == [self.places[x]] and hasattr(last.builtinOptions, "fusedActivationFunction"):
            last.builtinOptions.fusedActivationFunction = activation
            return x
        return self.operator(kind, [x], self.shapes[x])

    def convolve(self, x, name, weight, bias, shape, stride, depthwise, padded):
        order, kind = ((1, 2, 3, 0), "DEPTHWISE_CONV_2D") if depthwise else ((0, 2, 3, 1), "CONV_2D")
        parameters = [self.constant(f"{name}.weight", weight.transpose(order)), self.constant(f"{name}.bias", bias)]
        fields = {"padding": PADDINGS.SAME if padded else PADDINGS.VALID, "strideH": stride, "strideW": stride}
        fields |= {"dilationHFactor": 1, "dilationWFactor": 1}
        if depthwise:
            fields["depthMultiplier"] = 1
        options = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
        return self.operator(getattr(KINDS, kind), [x, *parameters], shape, options, **fields)

    def multiply_matrix(self, x, name, weight, bias, shape):
        parameters = [self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        return self.operator(KINDS.FULLY_CONNECTED, [x, *parameters], shape, "FullyConnectedOptions")

    def lean(self, x, name, slopes):
        return self.operator(KINDS.PRELU, [x, self.constant(name, slopes[None, None])], self.shapes[x])

    def normalise(self, x, name, weight, bias):
        shape = self.shapes[x]
        single = (1, *shape[1:])
        mean = self.mean(x, [-1], single)
        centred = self.operator(KINDS.SUB, [x, mean], shape, "SubOptions")
        variance = self.mean(self.multiply(centred, centred), [-1], single)
        epsilon = self.constant("epsilon", np.array([NORM_EPSILON], np.float32))
        deviation = self.operator(KINDS.RSQRT, [self.add(variance, epsilon)], single)
        scaled = self.multiply(self.multiply(centred, deviation), self.constant(f"{name}.weight", weight))
        return self.add(scaled, self.constant(f"{name}.bias", bias))

    def mean(self, x, axes, shape):
        axes = self.constant(f"axes_{axes}", np.array(axes, np.int32))
        return self.operator(KINDS.MEAN, [x, axes], shape, "ReducerOptions", keepDims=True)

    def relu(self, x):
        return self.activated(x, KINDS.RELU, ACTIVATIONS.RELU)

    def relu6(self, x):
        return self.activated(x, KINDS.RELU6, ACTIVATIONS.RELU6)

    def sigmoid(self, x):
        return self.operator(KINDS.LOGISTIC, [x], self.shapes[x])

    def gelu(self, x):
        return self.operator(KINDS.GELU, [x], self.shapes[x], "GeluOptions", approximate=False)

    def add(self, a, b):
        return self.operator(KINDS.ADD, [a, b], self.shapes[a], "AddOptions")

    def multiply(self, a, b):
        return self.operator(KINDS.MUL, [a, b], self.shapes[a], "MulOptions")

    def pool(self, x):
        return self.mean(x, [1, 2], (self.shapes[x][0], 1, 1))

    def max_pool(self, x, side):
        channels, *sides = self.shapes[x]
        shape = (channels, *(length // side for length in sides))
        fields = {"strideH": side, "strideW": side, "filterHeight": side, "filterWidth": side}
        return self.operator(KINDS.MAX_POOL_2D, [x], shape, "Pool2DOptions", padding=PADDINGS.VALID, **fields)

    def pad_channels(self, x, channels):
        added = channels - self.shapes[x][0]
        pads = self.constant(f"pads_{added}", np.array([[0, 0], [0, 0], [0, 0], [0, added]], np.int32))
        return self.operator(KINDS.PAD, [x, pads], (channels, *self.shapes[x][1:]), "PadOptions")

    def reshape(self, x, shape):
        stored = [self.batch, *shape]
        wanted = self.constant(f"shape_{stored}", np.array(stored, np.int32))
        return self.operator(KINDS.RESHAPE, [x, wanted], shape, "ReshapeOptions", newShape=stored)

    def flatten(self, x):
        return self.reshape(x, (int(np.prod(self.shapes[x])),))

    def rows(self, x, values):
        return self.reshape(x, (int(np.prod(self.shapes[x])) // values, values))

    def concatenate(self, maps, axis):
        shape = list(self.shapes[maps[0]])
        shape[axis] = sum(self.shapes[x][axis] for x in maps)
        return self.operator(KINDS.CONCATENATION, maps, tuple(shape), "ConcatenationOptions", axis=1 + axis)

    def save(self, file, output):
        graph = schema.SubGraphT()
        graph.name, graph.tensors, graph.operators = self.name, self.tensors, self.operators
        graph.inputs, graph.outputs = [self.places["input"]], [self.places[output]]
        model = schema.ModelT()
        model.version, model.description = LAYOUT_VERSION, self.name
        model.buffers, model.subgraphs = self.buffers, [graph]
        model.operatorCodes = [operator_code(kind) for kind in self.kinds]
        file.write_bytes(packed(model))


def operator_code(kind):
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = kind, min(kind, LARGEST_OLD_NUMBER), 1
    return code


def packed(model):
    """The model's file."""
    builder = flatbuffers.Builder(1 << 22)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
