"""PyTorch on a CUDA device, eager or compiled, kept loaded: it walks the nodes of the same ONNX graph.

With --limits it prints what the device reaches at copying and at multiplying 32-bit matrices, and ends.
"""

import argparse
import json
import time

import onnx
import torch
from onnx import numpy_helper

from serving import parse_arguments, serve

DEVICE = "cuda"


class Walk(torch.nn.Module):
    """Runs an ONNX graph of the operators that the benchmark's networks have."""

    def __init__(self, model):
        super().__init__()
        graph = onnx.load_from_string(model).graph
        self.nodes = []
        self.constants = {}
        for initializer in graph.initializer:
            values = torch.from_numpy(numpy_helper.to_array(initializer).copy())
            if values.dtype == torch.float32 and values.dim() > 0:
                name = f"parameter_{len(self.constants)}"
                self.register_buffer(name, values)
                self.constants[initializer.name] = name
            else:
                self.constants[initializer.name] = values.tolist()
        for node in graph.node:
            attributes = {it.name: onnx.helper.get_attribute_value(it) for it in node.attribute}
            self.nodes.append((node.op_type, list(node.input), node.output[0], attributes))

    def forward(self, pictures):
        values = {"input": pictures}
        for name, constant in self.constants.items():
            values[name] = getattr(self, constant) if isinstance(constant, str) else constant
        for kind, inputs, output, attributes in self.nodes:
            values[output] = OPERATORS[kind](*(values[name] for name in inputs), **attributes)
        return values["output"]


def convolve(x, weight, bias, pads, strides, group, kernel_shape):
    top, left, bottom, right = pads
    if (top, left) == (bottom, right):
        return torch.nn.functional.conv2d(x, weight, bias, strides, (top, left), groups=group)
    x = torch.nn.functional.pad(x, (left, right, top, bottom))
    return torch.nn.functional.conv2d(x, weight, bias, strides, groups=group)


OPERATORS = {
    "Add": torch.add,
    "Clip": torch.clamp,
    "Concat": lambda *parts, axis: torch.cat(parts, axis),
    "Conv": convolve,
    "Flatten": lambda x, axis: torch.flatten(x, axis),
    "Gemm": lambda x, weight, bias, transB: torch.nn.functional.linear(x, weight, bias),
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "MaxPool": lambda x, kernel_shape, strides: torch.nn.functional.max_pool2d(x, kernel_shape, strides),
    "Mul": torch.mul,
    "Pad": lambda x, pads: torch.nn.functional.pad(x, (pads[3], pads[7], pads[2], pads[6], pads[1], pads[5])),
    "Relu": torch.relu,
    "Reshape": lambda x, shape: x.reshape([old if new == 0 else new for old, new in zip(x.shape, shape)]),
    "Sigmoid": torch.sigmoid,
    "Transpose": lambda x, perm: x.permute(perm),
}


def fastest(action, rounds=20):
    """Seconds of the fastest round, the device idle before and after."""
    times = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        started = time.perf_counter()
        action()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return min(times)


def print_limits():
    floats = torch.empty(1 << 28, device=DEVICE)
    copy = torch.empty_like(floats)
    side = 8192
    a, b = (torch.randn(side, side, device=DEVICE) for _ in range(2))
    limits = {
        "adapter": torch.cuda.get_device_name(),
        "bytes_per_second": 2 * 4 * floats.numel() / fastest(lambda: copy.copy_(floats)),
        "multiplications_per_second": side**3 / fastest(lambda: a @ b),
    }
    print(json.dumps(limits))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--limits", action="store_true")
    # All 32 bits, like the others.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if parser.parse_known_args()[0].limits:
        print_limits()
        return
    model, pictures, arguments = parse_arguments(parser)

    def load(model):
        network = Walk(model).to(DEVICE).eval()
        run = torch.compile(network, mode="max-autotune") if arguments.compile else network

        def forward(pictures):
            with torch.inference_mode():
                return run(torch.from_numpy(pictures).to(DEVICE)).cpu().numpy()

        return forward

    serve(load, model, pictures, torch.cuda.get_device_name())


if __name__ == "__main__":
    main()
