"""Makes the small torch and tflite files that the readers are tested with.

    python3 tests/goldens/weights.py

Needs torch 2.8.0, numpy, flatbuffers 25.12.19 and tflite 2.18.0 (schema bindings). The values are small whole numbers
and halves, so that every precision holds them exactly; the tests know them by formula.
"""

import os
from collections import OrderedDict

import flatbuffers
import numpy as np
import tflite
import torch

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "weights")


def counting(*shape):
    """0, 1, 2, ... in row-major order."""
    return torch.arange(int(np.prod(shape)), dtype=torch.float32).reshape(shape)


def state_dict():
    # As converters from TensorFlow leave them: values in TensorFlow's order, strides that say so.
    strided = counting(2, 3, 2, 2).permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1)
    assert not strided.is_contiguous() and strided.stride() == (1, 2, 12, 6)
    return OrderedDict(
        [
            ("conv.weight", strided),
            ("conv.bias", torch.tensor([0.5, -1.5], dtype=torch.float16)),
            ("double", torch.tensor([[2.0], [4.0]], dtype=torch.float64)),
            ("brain", torch.tensor([1.0, -3.0], dtype=torch.bfloat16)),
            ("view", counting(10)[4:7]),
            ("bn.num_batches_tracked", torch.tensor(7)),
        ]
    )


def torch_files():
    torch.save(state_dict(), os.path.join(FOLDER, "zip.pth"))
    torch.save(state_dict(), os.path.join(FOLDER, "legacy.pth"), _use_new_zipfile_serialization=False)
    nested = {"epoch": 3, "optimizer": {"state": counting(2)}, "model_state_dict": state_dict()}
    torch.save(nested, os.path.join(FOLDER, "nested.pth"))
    torch.save({"epoch": 3, "model": state_dict()}, os.path.join(FOLDER, "model.pth"))
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 3)), os.path.join(FOLDER, "module.pt"))


class Model:
    """Builds one tflite model bottom up."""

    def __init__(self):
        self.builder = flatbuffers.Builder(1024)
        self.buffers = [self.buffer(b"")]
        self.tensors = []
        self.operators = []
        self.codes = []

    def vector(self, start, items, write):
        start(self.builder, len(items))
        for item in reversed(items):
            write(item)
        return self.builder.EndVector()

    def ints(self, start, items):
        return self.vector(start, items, self.builder.PrependInt32)

    def offsets(self, start, items):
        return self.vector(start, items, self.builder.PrependUOffsetTRelative)

    def buffer(self, data):
        vector = self.builder.CreateByteVector(data) if data else None
        tflite.BufferStart(self.builder)
        if vector is not None:
            tflite.BufferAddData(self.builder, vector)
        return tflite.BufferEnd(self.builder)

    def tensor(self, name, shape, kind=tflite.TensorType.FLOAT32, values=None):
        index = 0
        if values is not None:
            index = len(self.buffers)
            self.buffers.append(self.buffer(values.tobytes()))
        name = self.builder.CreateString(name)
        shape = self.ints(tflite.TensorStartShapeVector, shape)
        tflite.TensorStart(self.builder)
        tflite.TensorAddShape(self.builder, shape)
        tflite.TensorAddType(self.builder, kind)
        tflite.TensorAddBuffer(self.builder, index)
        tflite.TensorAddName(self.builder, name)
        self.tensors.append(tflite.TensorEnd(self.builder))
        return len(self.tensors) - 1

    def half(self, name, values):
        """A 16-bit constant and the tensor that DEQUANTIZE makes of it."""
        stored = self.tensor(name, values.shape, tflite.TensorType.FLOAT16, values.astype(np.float16))
        given = self.tensor(name + "_dequantize", values.shape)
        self.operator(tflite.BuiltinOperator.DEQUANTIZE, [stored], [given])
        return given

    def operator(self, code, inputs, outputs, options=None, kind=0):
        self.codes.append(code)
        inputs = self.ints(tflite.OperatorStartInputsVector, inputs)
        outputs = self.ints(tflite.OperatorStartOutputsVector, outputs)
        tflite.OperatorStart(self.builder)
        tflite.OperatorAddOpcodeIndex(self.builder, len(self.codes) - 1)
        tflite.OperatorAddInputs(self.builder, inputs)
        tflite.OperatorAddOutputs(self.builder, outputs)
        if options is not None:
            tflite.OperatorAddBuiltinOptionsType(self.builder, kind)
            tflite.OperatorAddBuiltinOptions(self.builder, options)
        self.operators.append(tflite.OperatorEnd(self.builder))

    def code(self, code):
        tflite.OperatorCodeStart(self.builder)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(self.builder, min(code, 127))
        tflite.OperatorCodeAddBuiltinCode(self.builder, code)
        return tflite.OperatorCodeEnd(self.builder)

    def finish(self):
        tensors = self.offsets(tflite.SubGraphStartTensorsVector, self.tensors)
        operators = self.offsets(tflite.SubGraphStartOperatorsVector, self.operators)
        tflite.SubGraphStart(self.builder)
        tflite.SubGraphAddTensors(self.builder, tensors)
        tflite.SubGraphAddOperators(self.builder, operators)
        graph = tflite.SubGraphEnd(self.builder)
        graphs = self.offsets(tflite.ModelStartSubgraphsVector, [graph])
        codes = self.offsets(tflite.ModelStartOperatorCodesVector, [self.code(code) for code in self.codes])
        buffers = self.offsets(tflite.ModelStartBuffersVector, self.buffers)
        tflite.ModelStart(self.builder)
        tflite.ModelAddVersion(self.builder, 3)
        tflite.ModelAddOperatorCodes(self.builder, codes)
        tflite.ModelAddSubgraphs(self.builder, graphs)
        tflite.ModelAddBuffers(self.builder, buffers)
        self.builder.Finish(tflite.ModelEnd(self.builder), b"TFL3")
        return bytes(self.builder.Output())


def tflite_file():
    model = Model()
    image = model.tensor("image", [1, 4, 4, 3])
    kernel = model.half("stem/kernel", np.arange(2 * 1 * 2 * 3, dtype=np.float32).reshape(2, 1, 2, 3))
    bias = model.tensor("stem/bias", [2], values=np.array([0.5, -0.5], np.float32))
    stem = model.tensor("stem", [1, 2, 4, 2])
    tflite.Conv2DOptionsStart(model.builder)
    tflite.Conv2DOptionsAddStrideW(model.builder, 1)
    tflite.Conv2DOptionsAddStrideH(model.builder, 2)
    options = tflite.Conv2DOptionsEnd(model.builder)
    model.operator(
        tflite.BuiltinOperator.CONV_2D, [image, kernel, bias], [stem], options, tflite.BuiltinOptions.Conv2DOptions
    )
    kernel = model.half("depthwise/kernel", np.arange(3 * 1 * 2, dtype=np.float32).reshape(1, 3, 1, 2))
    depthwise = model.tensor("depthwise", [1, 2, 4, 2])
    tflite.DepthwiseConv2DOptionsStart(model.builder)
    tflite.DepthwiseConv2DOptionsAddStrideW(model.builder, 1)
    tflite.DepthwiseConv2DOptionsAddStrideH(model.builder, 1)
    tflite.DepthwiseConv2DOptionsAddDepthMultiplier(model.builder, 1)
    options = tflite.DepthwiseConv2DOptionsEnd(model.builder)
    model.operator(
        tflite.BuiltinOperator.DEPTHWISE_CONV_2D,
        [stem, kernel, -1],
        [depthwise],
        options,
        tflite.BuiltinOptions.DepthwiseConv2DOptions,
    )
    axes = model.tensor("axes", [2], tflite.TensorType.INT32, np.array([1, 2], np.int32))
    pooled = model.tensor("pooled", [1, 2])
    model.operator(tflite.BuiltinOperator.MEAN, [depthwise, axes], [pooled])
    weight = model.tensor("dense/weight", [3, 2], values=np.arange(6, dtype=np.float32).reshape(3, 2))
    bias = model.half("dense/bias", np.array([1.0, 2.0, 3.0], np.float32))
    output = model.tensor("output", [1, 3])
    model.operator(tflite.BuiltinOperator.FULLY_CONNECTED, [pooled, weight, bias], [output])
    with open(os.path.join(FOLDER, "small.tflite"), "wb") as file:
        file.write(model.finish())


class SparseAxis:
    """Rows along the last axis, compressed: where each begins, and the columns of its values."""

    def __init__(self, values):
        rows = values.reshape(-1, values.shape[-1])
        self.starts = np.concatenate([[0], np.cumsum((rows != 0).sum(axis=1))]).astype(np.uint16)
        self.columns = np.nonzero(rows)[1].astype(np.uint8)
        self.stored = rows[rows != 0]

    def write(self, builder):
        starts = builder.CreateNumpyVector(self.starts)
        tflite.Uint16VectorStart(builder)
        tflite.Uint16VectorAddValues(builder, starts)
        starts = tflite.Uint16VectorEnd(builder)
        columns = builder.CreateNumpyVector(self.columns)
        tflite.Uint8VectorStart(builder)
        tflite.Uint8VectorAddValues(builder, columns)
        columns = tflite.Uint8VectorEnd(builder)
        tflite.DimensionMetadataStart(builder)
        tflite.DimensionMetadataAddFormat(builder, tflite.DimensionType.SPARSE_CSR)
        tflite.DimensionMetadataAddArraySegmentsType(builder, tflite.SparseIndexVector.Uint16Vector)
        tflite.DimensionMetadataAddArraySegments(builder, starts)
        tflite.DimensionMetadataAddArrayIndicesType(builder, tflite.SparseIndexVector.Uint8Vector)
        tflite.DimensionMetadataAddArrayIndices(builder, columns)
        return tflite.DimensionMetadataEnd(builder)


def dense_axis(builder, size):
    tflite.DimensionMetadataStart(builder)
    tflite.DimensionMetadataAddDenseSize(builder, size)
    return tflite.DimensionMetadataEnd(builder)


def sparse_file():
    model = Model()
    builder = model.builder
    image = model.tensor("image", [1, 2, 2, 4])
    values = np.zeros([3, 1, 1, 4], np.float16)
    values[0, 0, 0, 1], values[1, 0, 0, 0], values[1, 0, 0, 3] = 1, 2, 3
    axis = SparseAxis(values)
    index = len(model.buffers)
    model.buffers.append(model.buffer(axis.stored.tobytes()))
    axes = [dense_axis(builder, size) for size in values.shape[:-1]] + [axis.write(builder)]
    axes = model.offsets(tflite.SparsityParametersStartDimMetadataVector, axes)
    order = model.ints(tflite.SparsityParametersStartTraversalOrderVector, range(4))
    tflite.SparsityParametersStart(builder)
    tflite.SparsityParametersAddTraversalOrder(builder, order)
    tflite.SparsityParametersAddDimMetadata(builder, axes)
    sparsity = tflite.SparsityParametersEnd(builder)
    name = builder.CreateString("kernel")
    shape = model.ints(tflite.TensorStartShapeVector, values.shape)
    tflite.TensorStart(builder)
    tflite.TensorAddShape(builder, shape)
    tflite.TensorAddType(builder, tflite.TensorType.FLOAT16)
    tflite.TensorAddBuffer(builder, index)
    tflite.TensorAddName(builder, name)
    tflite.TensorAddSparsity(builder, sparsity)
    model.tensors.append(tflite.TensorEnd(builder))
    sparse = len(model.tensors) - 1
    dense = model.tensor("kernel_dense", values.shape, tflite.TensorType.FLOAT16)
    model.operator(tflite.BuiltinOperator.DENSIFY, [sparse], [dense])
    kernel = model.tensor("kernel_dequantize", values.shape)
    model.operator(tflite.BuiltinOperator.DEQUANTIZE, [dense], [kernel])
    output = model.tensor("output", [1, 2, 2, 3])
    tflite.Conv2DOptionsStart(builder)
    tflite.Conv2DOptionsAddStrideW(builder, 1)
    tflite.Conv2DOptionsAddStrideH(builder, 1)
    options = tflite.Conv2DOptionsEnd(builder)
    model.operator(
        tflite.BuiltinOperator.CONV_2D, [image, kernel, -1], [output], options, tflite.BuiltinOptions.Conv2DOptions
    )
    with open(os.path.join(FOLDER, "sparse.tflite"), "wb") as file:
        file.write(model.finish())


if __name__ == "__main__":
    os.makedirs(FOLDER, exist_ok=True)
    torch_files()
    tflite_file()
    sparse_file()
