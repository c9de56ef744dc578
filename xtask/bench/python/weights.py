"""Weights of networks, read, written and made of a seed, and pictures as their input.

Needs numpy.
"""

import json
import struct

import numpy as np

PICTURE_SIDE = 256
BATCH = 4


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
    if len(shape) == 1:
        # Of a norm.
        return np.float32(1) + values * np.float32(0.25)
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


def numbers(text):
    return np.array(json.loads(text) if text.startswith("[") else text.split(","), np.float32)


def write_input(file, pictures, weights):
    """The middle of each picture, normalised."""
    margin = (PICTURE_SIDE - weights.side) // 2
    middle = pictures[:, margin : margin + weights.side, margin : margin + weights.side]
    mean, std = (numbers(weights.metadata[key]) for key in ("mean", "std"))
    normalised = (middle.astype(np.float32) - mean) / std
    file.write_bytes(np.ascontiguousarray(normalised.transpose(0, 3, 1, 2), np.float32).tobytes())
