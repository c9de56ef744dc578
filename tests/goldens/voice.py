"""Goldens for voice activity: Silero VAD through PyTorch on made-up sound.

    pip install torch==2.8.0 numpy==2.4.6 safetensors
    python tests/goldens/voice.py SILERO_VAD > tests/goldens/voice.json
    # SILERO_VAD: silero_vad/data/silero_vad_16k.safetensors of PyPI silero-vad 6.2.3

The network is that of `silero_vad/tinygrad_model.py` in the same package. The package's TorchScript and ONNX files hold
other parameters of the same network, and give other probabilities.

One stream of 96 chunks of 512 samples at 16 kHz, which the test makes too: silence, noise, a buzz whose pitch and resonances
move as those of a voice, the same in noise, silence again. Prints the probability of each chunk.
"""

import json
import math
import sys

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

RATE, CHUNK, CHUNKS = 16_000, 512, 96


def noise(index):
    """-1 to 1, from 32-bit xorshift of the index."""
    x = (index * 2_654_435_761 + 12_345) & 0xFFFFFFFF
    x ^= (x << 13) & 0xFFFFFFFF
    x ^= x >> 17
    x ^= (x << 5) & 0xFFFFFFFF
    return x / 2**31 - 1.0


def sound():
    samples, phase = [], 0.0
    for index in range(CHUNK * CHUNKS):
        chunk, t = index // CHUNK, index / RATE
        pitch = 120.0 + 30.0 * math.sin(2.0 * math.pi * 1.3 * t)
        phase += pitch / RATE
        voice = 0.0
        for harmonic in range(1, 25):
            frequency = harmonic * pitch
            first = 500.0 + 250.0 * math.sin(2.0 * math.pi * 2.1 * t)
            second = 1500.0 + 500.0 * math.sin(2.0 * math.pi * 1.7 * t)
            gain = 1.0 / (1.0 + ((frequency - first) / 120.0) ** 2) + 0.5 / (1.0 + ((frequency - second) / 160.0) ** 2)
            voice += gain * math.sin(2.0 * math.pi * harmonic * phase)
        syllable = max(0.0, math.sin(2.0 * math.pi * 4.0 * t))
        part = chunk // 16  # silence, noise, two of voice, voice in noise, silence
        loud, hiss = [0.0, 0.0, 0.25, 0.25, 0.2, 0.0][part], [0.0, 0.05, 0.0, 0.0, 0.02, 0.0][part]
        samples.append(loud * voice * syllable + hiss * noise(index))
    return np.array(samples, np.float32)


torch.set_num_threads(1)
weights = load_file(sys.argv[1])
context, hidden, cell = torch.zeros(1, 64), torch.zeros(1, 128), torch.zeros(1, 128)
probabilities = []
for chunk in torch.from_numpy(sound()).reshape(CHUNKS, 1, CHUNK):
    x = torch.cat([context, chunk], 1)
    context = x[:, -64:]
    x = F.conv1d(F.pad(x[None], (0, 64), "reflect"), weights["stft_conv.weight"], stride=128)
    x = (x[:, :129].square() + x[:, 129:].square()).sqrt()
    for name, stride in (("conv1", 1), ("conv2", 2), ("conv3", 2), ("conv4", 1)):
        x = F.relu(F.conv1d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride, 1))
    gates = [F.linear(y, weights[f"lstm_cell.weight_{p}"], weights[f"lstm_cell.bias_{p}"]) for y, p in ((x[..., 0], "ih"), (hidden, "hh"))]
    enter, keep, new, leave = (gates[0] + gates[1]).chunk(4, 1)
    cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
    hidden = leave.sigmoid() * cell.tanh()
    logit = F.conv1d(F.relu(hidden)[..., None], weights["final_conv.weight"], weights["final_conv.bias"])
    probabilities.append(round(torch.sigmoid(logit).item(), 6))
print(json.dumps(probabilities))
