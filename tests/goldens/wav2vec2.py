"""Goldens for wav2vec 2.0: seeded weights through transformers' Wav2Vec2Model.

    pip install torch==2.8.0 transformers==4.56.2
    python tests/goldens/wav2vec2.py          # writes tests/goldens/wav2vec2.json

The weights, 380 MB, are not committed. Both sides draw them from a hash of name and index (`uniform` and `parameter` of
backbones.py, repeated here so that this script needs no timm); committed are names and shapes of the state dict and a few
numbers of the last hidden states. Weights of matrices are a little smaller than there, and lengths of the convolution of
positions are those that its directions have, as in a fresh model.

Sounds are sums of two tones and noise, normalised as Wav2Vec2FeatureExtractor does (mean of zero, variance of one).
"""

import json
import pathlib

import numpy as np
import torch
import transformers

LENGTHS = [400, 16_000, 48_123]
# Numbers of each output that are committed.
SAMPLED = 400


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
    """Weights that keep activations of order one."""
    u = uniform(name, int(np.prod(shape, dtype=int))).reshape(shape)
    f = np.float32
    if name.endswith("bias"):
        return f(0.25) * u
    if name.endswith("weight.original0"):
        # The usual length of a direction: 768 x 48 numbers of variance 1.5 / (48 x 128).
        return f(3) + f(0.75) * u
    if len(shape) == 1:
        return f(1) + f(0.25) * u
    fan_in = int(np.prod(shape[1:]))
    return u * np.sqrt(f(4.5) / f(fan_in))


def sound(length: int) -> np.ndarray:
    """float32, computed in f64: two tones and noise."""
    t = np.arange(length, dtype=np.float64) / 16_000
    x = np.sin(2 * np.pi * 220 * t) + 0.5 * np.sin(2 * np.pi * 1_730 * t) + 0.3 * uniform("sound", length).astype(np.float64)
    x = (x - x.mean()) / np.sqrt(x.var() + 1e-7)
    return x.astype(np.float32)


def main() -> None:
    torch.set_num_threads(1)
    config = transformers.Wav2Vec2Config()
    model = transformers.Wav2Vec2Model(config).eval()
    state = model.state_dict()
    shapes = {name: list(tensor.shape) for name, tensor in state.items()}
    model.load_state_dict({name: torch.from_numpy(parameter(name, shape)) for name, shape in shapes.items()})
    print("parameters", sum(p.numel() for p in model.parameters()), "tensors", len(shapes))
    outputs = {}
    for length in LENGTHS:
        with torch.no_grad():
            hidden = model(torch.from_numpy(sound(length))[None]).last_hidden_state[0]
        values = hidden.flatten().numpy()
        # Every so many numbers, so that all vectors and channels take their turn.
        step = max(values.size // SAMPLED, 1) | 1
        print(length, tuple(hidden.shape), hidden.mean().item(), hidden.std().item(), hidden.abs().max().item())
        outputs[str(length)] = {
            "vectors": hidden.shape[0],
            "step": step,
            "values": [float(f"{v:.8g}") for v in values[::step]],
        }
    made_by = f"tests/goldens/wav2vec2.py, torch {torch.__version__}, transformers {transformers.__version__}"
    file = pathlib.Path(__file__).parent / "wav2vec2.json"
    file.write_text(json.dumps({"made_by": made_by, "shapes": shapes, "outputs": outputs}))


if __name__ == "__main__":
    main()
