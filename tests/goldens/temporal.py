"""Goldens for temporal heads: seeded weights through PyTorch, and a checkpoint in the published layout.

    pip install torch==2.15.0 numpy==2.4.6
    python tests/goldens/temporal.py           # writes tests/goldens/temporal.json, temporal.pt and fusion.pt

The heads are built here from PyTorch's own layers under the names of the published checkpoints, with small sizes. Weights
and inputs are not in the file: both sides draw them from the same hash of name and index (`uniform` here, `uniform` in
the tests of src/head/temporal.rs). The JSON has, for each head, the shapes of its parameters, its logits in inference,
and, with dropout off, a training step's loss, its gradients and the running statistics after it. The loss is the sum of the
logits multiplied with seeded numbers; for the conditional random field, whose likelihood is summed here over all
sequences, it is the negative log-likelihood. Heads over two streams take the last numbers of a frame for the second one, in
which negative numbers are 0; those with `+blocks` have the optional blocks for skeletons. Heads with `+moments` read features
of three moments, which are interpolated to the frames first.
"""

import itertools
import json
import pathlib

import numpy as np
import torch
from torch import nn

HERE = pathlib.Path(__file__).parent
BATCH, TIME, FEATURES = 2, 9, 12
# Moments that a network over clips gives features of.
MOMENTS = 3
HIDDEN = 4
# Of the features, those of the second stream; a skeleton after its projection; both streams when they are joined.
SECOND, PROJECTED, JOINED = 5, 3, 8


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


def seeded(name: str, shape) -> torch.Tensor:
    return torch.from_numpy(uniform(name, int(np.prod(shape))).reshape(shape))


class Tcn(nn.Module):
    def __init__(self, layers=3, features=FEATURES):
        super().__init__()
        self.input_proj = nn.Conv1d(features, HIDDEN, 1)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(HIDDEN, HIDDEN, 3, padding=2**i, dilation=2**i),
                nn.BatchNorm1d(HIDDEN),
                nn.ReLU(),
                nn.Dropout(0.0),
            )
            for i in range(layers)
        )
        self.proj = nn.Conv1d(HIDDEN, 2, 1)

    def forward(self, x):
        x = self.input_proj(x.transpose(1, 2))
        for layer in self.layers:
            x = layer(x) + x
        return self.proj(x).transpose(1, 2)


class Motion(nn.Module):
    """Ours: no published network, but the same sum of a network and a linear model over changes of features."""

    def __init__(self, has_network=True):
        super().__init__()
        self.temporal_head = Tcn(layers=2, features=2 * FEATURES) if has_network else None
        self.motion = nn.Module()
        for name in ("level_mean", "level_scale", "change_mean", "change_scale", "linear"):
            self.motion.register_buffer(name, torch.zeros(FEATURES))
        self.motion.register_buffer("blend", torch.zeros(3))

    def forward(self, x):
        m = self.motion
        change = ((x[:, 1:] - x[:, :-1]).abs() - m.change_mean) / m.change_scale
        level = (x[:, 1:] - m.level_mean) / m.level_scale
        half = ((change.mean(1) @ m.linear) * m.blend[1] + m.blend[2])[:, None, None] / 2
        logits = torch.cat([-half, half], 2)
        if self.temporal_head:
            logits = logits + m.blend[0] * self.temporal_head(torch.cat([change, level], 2)).mean(1, keepdim=True)
        return logits.expand(-1, x.shape[1], -1)


class BiLstmConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(FEATURES, HIDDEN, num_layers=2, batch_first=True, bidirectional=True)
        self.proj = nn.Conv1d(2 * HIDDEN, 2, 1)

    def forward(self, x):
        return self.proj(self.lstm(x)[0].transpose(1, 2)).transpose(1, 2)


class Transformer(nn.Module):
    def __init__(self, width=8, positions=10):
        super().__init__()
        self.input_proj = nn.Linear(FEATURES, width)
        self.pos_embed = nn.Parameter(torch.zeros(1, positions, width))
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, activation="gelu", batch_first=True)
        self.transformer = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.proj = nn.Linear(width, 2)

    def forward(self, x):
        x = self.input_proj(x) + self.pos_embed[:, : x.shape[1]]
        return self.proj(self.norm(self.transformer(x)))


class Nested(nn.Module):
    def __init__(self, head):
        super().__init__()
        self.temporal_head = head

    def forward(self, x):
        return self.temporal_head(x)


class Conv1d(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Conv1d(FEATURES, 2, 1)

    def forward(self, x):
        return self.head(x.transpose(1, 2)).transpose(1, 2)


class BiLstm(nn.Module):
    def __init__(self, features=FEATURES):
        super().__init__()
        self.lstm = nn.LSTM(features, HIDDEN, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, 2)

    def forward(self, x):
        return self.head(self.lstm(x)[0])


class Field(nn.Module):
    def __init__(self):
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(2, 2))
        self.start_transitions = nn.Parameter(torch.zeros(2))
        self.end_transitions = nn.Parameter(torch.zeros(2))

    def score(self, emissions, path):
        total = self.start_transitions[path[0]] + self.end_transitions[path[-1]]
        for frame, label in enumerate(path):
            total = total + emissions[frame, label]
        for before, after in zip(path, path[1:]):
            total = total + self.transitions[before, after]
        return total


class Crf(BiLstm):
    def __init__(self):
        super().__init__()
        self.crf = Field()

    def loss(self, logits, labels):
        """Every sequence is enumerated."""
        losses = []
        for emissions, path in zip(logits, labels.tolist()):
            paths = itertools.product(range(2), repeat=len(path))
            scores = torch.stack([self.crf.score(emissions, other) for other in paths])
            losses.append(torch.logsumexp(scores, 0) - self.crf.score(emissions, path))
        return torch.stack(losses).mean()

    def best(self, emissions):
        paths = list(itertools.product(range(2), repeat=len(emissions)))
        return max(paths, key=lambda path: self.crf.score(emissions, path).item())


class Concat(nn.Module):
    def __init__(self, frames, second):
        super().__init__()
        self.proj = nn.Sequential(nn.Linear(frames + second, JOINED), nn.LayerNorm(JOINED), nn.GELU())

    def forward(self, r, k):
        return self.proj(torch.cat([r, k], 2))


class Gated(nn.Module):
    def __init__(self, frames, second):
        super().__init__()
        self.rgb_proj, self.flow_proj = nn.Linear(frames, JOINED), nn.Linear(second, JOINED)
        self.gate = nn.Sequential(nn.Linear(frames + second, JOINED), nn.Sigmoid())
        self.norm = nn.LayerNorm(JOINED)

    def forward(self, r, k):
        g = self.gate(torch.cat([r, k], 2))
        return self.norm(g * self.rgb_proj(r) + (1 - g) * self.flow_proj(k))


class CrossAttention(nn.Module):
    def __init__(self, frames, second):
        super().__init__()
        self.rgb_proj, self.flow_proj = nn.Linear(frames, JOINED), nn.Linear(second, JOINED)
        self.cross_attn_rgb = nn.MultiheadAttention(JOINED, 4, batch_first=True)
        self.cross_attn_flow = nn.MultiheadAttention(JOINED, 4, batch_first=True)
        self.norm1, self.norm2, self.out_norm = (nn.LayerNorm(JOINED) for _ in range(3))
        self.ffn = nn.Sequential(nn.Linear(2 * JOINED, JOINED), nn.GELU())

    def forward(self, r, k):
        r, k = self.rgb_proj(r), self.flow_proj(k)
        a, b = self.cross_attn_rgb(r, k, k)[0], self.cross_attn_flow(k, r, r)[0]
        return self.out_norm(self.ffn(torch.cat([self.norm1(r + a), self.norm2(k + b)], 2)))


class Denoise(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.conv = nn.LayerNorm(SECOND), nn.Conv1d(SECOND, SECOND, 3, padding=1)

    def forward(self, k):
        return k + nn.functional.gelu(self.conv(self.norm(k).transpose(1, 2))).transpose(1, 2)


class Reliability(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 1), nn.Sigmoid())

    def forward(self, k):
        there = (k.abs() > 1e-6).float()
        return self.mlp(torch.stack([k.abs().mean(2), k.square().mean(2).sqrt(), there.mean(2)], 2))


class OverMoments(nn.Module):
    """A head over a network for clips: features of few moments become those of all frames."""

    def forward(self, x):
        x = nn.functional.interpolate(x.transpose(1, 2), size=TIME, mode="linear", align_corners=False)
        return super().forward(x.transpose(1, 2))


class NestedOverMoments(OverMoments, Nested):
    pass


class Conv1dOverMoments(OverMoments, Conv1d):
    pass


class TwoStreams(nn.Module):
    def __init__(self, name):
        super().__init__()
        stream, joining, over_time = name.removesuffix("+blocks").split("-")
        frames, second = FEATURES - SECOND, SECOND
        self.skeleton_proj = self.skeleton_denoise = self.skeleton_reliability_gate = self.fusion = None
        if stream == "skeleton" and joining == "early":
            self.skeleton_proj = nn.Sequential(nn.Linear(SECOND, SECOND), nn.ReLU())
        elif stream == "skeleton":
            second = PROJECTED
            self.skeleton_proj = nn.Sequential(nn.LayerNorm(SECOND), nn.Linear(SECOND, PROJECTED), nn.GELU())
        if name.endswith("+blocks"):
            self.skeleton_denoise, self.skeleton_reliability_gate = Denoise(), Reliability()
        joined = frames + second
        if joining != "early":
            joined = JOINED
            self.fusion = {"concat": Concat, "gated": Gated, "attention": CrossAttention}[joining](frames, second)
        if over_time == "tcn":
            self.temporal_head = Tcn(layers=2, features=joined)
        else:
            of = BiLstm(joined)
            self.lstm, self.head = of.lstm, of.head

    def forward(self, x):
        r, k = x[..., :-SECOND], x[..., -SECOND:].clamp(min=0)
        gate = self.skeleton_reliability_gate(k) if self.skeleton_reliability_gate else 1
        if self.skeleton_denoise:
            k = self.skeleton_denoise(k)
        if self.skeleton_proj:
            k = self.skeleton_proj(k) * gate
        x = self.fusion(r, k) if self.fusion else torch.cat([r, k], 2)
        return self.temporal_head(x) if hasattr(self, "temporal_head") else self.head(self.lstm(x)[0])


def parameter(name, shape):
    u = seeded(name, shape)
    if name.endswith(("running_var", "_scale")):
        return 1 + 0.5 * u
    # Batch norm and layer norm.
    if name.endswith(("norm.weight", "norm1.weight", "norm2.weight")) or (name.endswith("1.weight") and len(shape) == 1):
        return 1 + 0.25 * u
    return 0.5 * u


def numbers(tensor):
    return [float(f"{v:.7g}") for v in tensor.detach().flatten().tolist()]


heads = {
    "tcn": Nested(Tcn()),
    "bilstm": BiLstm(),
    "bilstm-conv": Nested(BiLstmConv()),
    "conv1d": Conv1d(),
    "transformer": Nested(Transformer()),
    "crf": Crf(),
    "motion": Motion(),
    "motion-linear": Motion(has_network=False),
    "conv1d+moments": Conv1dOverMoments(),
    "bilstm-conv+moments": NestedOverMoments(BiLstmConv()),
}
two_streams = ["skeleton-early-bilstm", "flow-early-bilstm", "skeleton-early-bilstm+blocks", "skeleton-attention-tcn+blocks"]
for stream in ("skeleton", "flow"):
    for joining in ("concat", "gated", "attention"):
        two_streams += [f"{stream}-{joining}-{over_time}" for over_time in ("bilstm", "tcn")]
heads |= {name: TwoStreams(name) for name in two_streams}
golden = {"made_by": f"tests/goldens/temporal.py, torch {torch.__version__}"}
for kind, head in heads.items():
    x = seeded("features", (BATCH, MOMENTS if kind.endswith("+moments") else TIME, FEATURES))
    state = {name: value for name, value in head.state_dict().items() if not name.endswith("num_batches_tracked")}
    head.load_state_dict({name: parameter(name, tuple(value.shape)) for name, value in state.items()}, strict=False)
    entry = {"shapes": {name: list(value.shape) for name, value in state.items()}}
    head.eval()
    logits = head(x)
    entry["logits"] = numbers(logits)
    if kind == "crf":
        entry["best"] = [head.best(emissions) for emissions in logits.detach()]
    checkpoint = {name: value.clone() for name, value in head.state_dict().items()}
    head.train()
    logits = head(x)
    if kind == "crf":
        loss = head.loss(logits, (seeded("labels", (BATCH, TIME)) > 0).long())
    else:
        loss = (logits * seeded("loss", (BATCH, TIME, 2))).sum()
    if list(head.parameters()):
        loss.backward()
    entry["loss"] = loss.item()
    entry["gradients"] = {name: numbers(value.grad) for name, value in head.named_parameters()}
    entry["running"] = {
        name: numbers(value) for name, value in head.state_dict().items() if name.endswith(("running_mean", "running_var"))
    }
    golden[kind] = entry
    # As the training script saves them, over encoders of one layer.
    if kind == "tcn":
        checkpoint = {"encoder.stem.0.weight": torch.ones(2, 3), **checkpoint}
        torch.save({"model": checkpoint, "epoch": 3, "best": 0.5}, HERE / "temporal.pt")
    if kind == "skeleton-attention-bilstm":
        checkpoint = {"rgb_encoder.stem.0.weight": torch.ones(2, 3), **checkpoint}
        torch.save({"model": checkpoint, "epoch": 3, "best": 0.5}, HERE / "fusion.pt")
(HERE / "temporal.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
