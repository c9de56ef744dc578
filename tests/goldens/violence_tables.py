"""The rows of DVD's table computed a second time, with numpy: python3 violence_tables.py ROOT HEADS SKELETONS FLOW

ROOT is a tree in DVD's layout, HEADS the folder that `affectlens tables --dvd` wrote: trained heads, and tables.json with
the folders of cached features; SKELETONS and FLOW are folders of the second streams. Prints {"D16": [F1 violent, F1 not
violent, their mean], ...}. Written from the specification (5.1 to 5.6), not from the Rust code: labels, repaired frames,
windows, networks and scores are all its own.
"""

import csv
import glob
import json
import math
import sys
from pathlib import Path

import numpy as np

# Preset, frames of a window, optical flow or skeletons beside the frames, or features of clips in place of those of frames.
ROWS = {
    "D0": ("resnet50_bilstm", 32, None),
    "D1": ("slowfast_r50_v2", 16, "clips"),
    "D2": ("r3d_18_temporal", 16, "clips"),
    "D3": ("s3d_temporal", 16, "clips"),
    "D4": ("r2plus1d_18_temporal", 16, "clips"),
    "D5": ("videomae_crime_v2", 16, "clips"),
    "D6": ("videomae_small_v2_improved", 16, "clips"),
    "D7": ("s3d_v2", 16, "clips"),
    "D8": ("r2plus1d_18_v2", 16, "clips"),
    "D10": ("swin_v2_improved", 16, "clips"),
    "D11": ("efficientnet_best_reference_07186", 16, None),
    "D12": ("twostream_concat_pretrained_rgb", 32, "flow"),
    "D13": ("skeleton_gated_bilstm_clip32_frozen_rgb", 32, "skeletons"),
    "D14": ("skeleton_convnext_tiny_clip32", 32, "skeletons"),
    "D15": ("skeleton_attention_tcn_clip32_frozen_rgb", 32, "skeletons"),
    "D16": ("skeleton_attention_bilstm_clip32_frozen_rgb", 32, "skeletons"),
    "D17": ("convnext_tiny_clip32", 32, None),
    "D18": ("convnext_tiny_tcn_clip32", 32, None),
}
ATTENTION_HEADS = 4
ERF = np.vectorize(math.erf)


def stored(folder, name):
    """The cached file of a video or sound; the digest of what it was made from follows its name."""
    digest = "[0-9a-f]" * 16
    plain = folder / f"{name}.safetensors"
    found = [plain] if plain.exists() else sorted(folder.glob(f"{glob.escape(name)}-{digest}.safetensors"))
    if len(found) != 1:
        raise SystemExit(f"{folder} has {len(found)} files for {name}, expected one")
    return found[0]


def read_safetensors(path):
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    kinds = {"F16": np.float16, "F32": np.float32}
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        numbers = np.frombuffer(data[8 + length + start : 8 + length + end], kinds[entry["dtype"]])
        tensors[name] = numbers.reshape(entry["shape"]).astype(np.float64)
    return tensors, metadata


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return x * (1 + ERF(x / math.sqrt(2))) / 2


class Head:
    """A trained head on the frames of one window, [frames, features]."""

    def __init__(self, path):
        self.state, _ = read_safetensors(path)

    def __contains__(self, prefix):
        return any(name.startswith(prefix) for name in self.state)

    def linear(self, key, x):
        weight = self.state[f"{key}.weight"]
        return x @ weight.reshape(weight.shape[:2]).T + self.state[f"{key}.bias"]

    def layer_norm(self, key, x):
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        return x * self.state[f"{key}.weight"] + self.state[f"{key}.bias"]

    def lstm(self, x, key, head):
        for layer in range(2):
            both = []
            for suffix, order in (("", 1), ("_reverse", -1)):
                of = lambda part: self.state[f"{key}.{part}_l{layer}{suffix}"]
                hidden = of("weight_hh").shape[1]
                h = c = np.zeros(hidden)
                out = np.zeros((len(x), hidden))
                for t in range(len(x))[::order]:
                    gates = of("weight_ih") @ x[t] + of("bias_ih") + of("weight_hh") @ h + of("bias_hh")
                    i, f, g, o = gates.reshape(4, hidden)
                    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                    h = sigmoid(o) * np.tanh(c)
                    out[t] = h
                both.append(out)
            x = np.concatenate(both, 1)
        return self.linear(head, x)

    def tcn(self, x):
        x = self.linear("temporal_head.input_proj", x)
        layer = 0
        while f"temporal_head.layers.{layer}.0.weight" in self.state:
            key = f"temporal_head.layers.{layer}"
            weight, reach = self.state[f"{key}.0.weight"], 2**layer
            padded = np.pad(x, ((reach, reach), (0, 0)))
            y = sum(padded[tap * reach : tap * reach + len(x)] @ weight[:, :, tap].T for tap in range(3))
            y = y + self.state[f"{key}.0.bias"]
            mean, var = self.state[f"{key}.1.running_mean"], self.state[f"{key}.1.running_var"]
            y = (y - mean) / np.sqrt(var + 1e-5) * self.state[f"{key}.1.weight"] + self.state[f"{key}.1.bias"]
            x = x + np.maximum(y, 0)
            layer += 1
        return self.linear("temporal_head.proj", x)

    def attend(self, key, x, y):
        width = x.shape[1]
        weight, bias = self.state[f"{key}.in_proj_weight"], self.state[f"{key}.in_proj_bias"]
        project = lambda place, of: of @ weight[place * width : (place + 1) * width].T + bias[place * width : (place + 1) * width]
        q, k, v = project(0, x), project(1, y), project(2, y)
        size, parts = width // ATTENTION_HEADS, []
        for head in range(ATTENTION_HEADS):
            columns = slice(head * size, (head + 1) * size)
            scores = q[:, columns] @ k[:, columns].T / math.sqrt(size)
            powers = np.exp(scores - scores.max(1, keepdims=True))
            parts.append(powers / powers.sum(1, keepdims=True) @ v[:, columns])
        return self.linear(f"{key}.out_proj", np.concatenate(parts, 1))

    def join(self, r, k):
        if "fusion.proj." in self:
            return gelu(self.layer_norm("fusion.proj.1", self.linear("fusion.proj.0", np.concatenate([r, k], 1))))
        if "fusion.gate." in self:
            gate = sigmoid(self.linear("fusion.gate.0", np.concatenate([r, k], 1)))
            mixed = gate * self.linear("fusion.rgb_proj", r) + (1 - gate) * self.linear("fusion.flow_proj", k)
            return self.layer_norm("fusion.norm", mixed)
        if "fusion.cross_attn_rgb." in self:
            r, k = self.linear("fusion.rgb_proj", r), self.linear("fusion.flow_proj", k)
            a, b = self.attend("fusion.cross_attn_rgb", r, k), self.attend("fusion.cross_attn_flow", k, r)
            both = [self.layer_norm("fusion.norm1", r + a), self.layer_norm("fusion.norm2", k + b)]
            return self.layer_norm("fusion.out_norm", gelu(self.linear("fusion.ffn.0", np.concatenate(both, 1))))
        return np.concatenate([r, k], 1)

    def probabilities(self, r, k):
        if k is not None:
            if "skeleton_proj.1." in self:
                k = gelu(self.linear("skeleton_proj.1", self.layer_norm("skeleton_proj.0", k)))
            elif "skeleton_proj." in self:
                k = np.maximum(self.linear("skeleton_proj.0", k), 0)
            r = self.join(r, k)
        if "temporal_head.lstm." in self:
            logits = self.lstm(r, "temporal_head.lstm", "temporal_head.proj")
        elif "temporal_head." in self:
            logits = self.tcn(r)
        else:
            logits = self.lstm(r, "lstm", "head") if "lstm." in self else self.linear("head", r)
        return sigmoid(logits[:, 1] - logits[:, 0])


class Pictures:
    """Cached features of picture files by their number; those that cannot be read have none."""

    def __init__(self, path):
        tensors, metadata = read_safetensors(path)
        rows, self.rows = iter(tensors["embeddings"]), {}
        for place, name in enumerate(metadata["pictures"].split()):
            is_there = f"skipped {place}" not in metadata
            self.rows[int(name.split(".")[0])] = next(rows) if is_there else None

    def clip(self, frames):
        nearest = lambda frame: min(self.rows, key=lambda number: (abs(number - frame - 1), number))
        rows = [self.rows[nearest(frame)] for frame in frames]
        readable = [row for row in rows if row is not None]
        return np.array([readable[0] if row is None else row for row in rows])


class Clips:
    """Cached features of the moments of clips by the clip's frames, spread over the frames."""

    def __init__(self, path):
        tensors, metadata = read_safetensors(path)
        clips = [tuple(map(int, clip.split())) for clip in metadata["clips"].split(",")]
        rows = tensors["embeddings"]
        self.rows = dict(zip(clips, rows.reshape(len(clips), -1, rows.shape[1])))

    def clip(self, frames):
        rows = self.rows[tuple(int(frame) for frame in frames)]
        places = (np.arange(len(frames)) + 0.5) * len(rows) / len(frames) - 0.5
        return np.array([np.interp(places, np.arange(len(rows)), column) for column in rows.T]).T


class Skeletons:
    def __init__(self, path):
        self.rows = np.load(path).astype(np.float64) if path.exists() else np.zeros((1, 406))

    def clip(self, frames):
        return self.rows[np.minimum(frames, len(self.rows) - 1)]


def labels_of(path):
    with open(path, newline="") as file:
        rows = {int(row["Frame_Number"]): int(row["Label"]) for row in csv.DictReader(file)}
    return np.array([rows.get(number, -1) for number in range(1, max(rows) + 1)])


def score(head, length, r, k, count):
    last = max(0, count - length)
    starts = list(range(0, last + 1, max(1, length // 2)))
    starts += [] if starts[-1] == last else [last]
    sums, counts = np.zeros(count), np.zeros(count)
    for start in starts:
        frames = np.minimum(start + np.arange(length), count - 1)
        chances = head.probabilities(r.clip(frames), k.clip(frames) if k else None)
        np.add.at(sums, frames, chances)
        np.add.at(counts, frames, 1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), 0)


def f1(truth, predicted):
    total = truth.sum() + predicted.sum()
    return float(2 * (truth & predicted).sum() / total) if total else 0.0


def main(root, heads, skeletons, flow):
    features = json.loads((heads / "tables.json").read_text())["features"]
    results = {}
    for row, (preset, length, stream) in ROWS.items():
        if preset not in features:
            continue
        head = Head(heads / f"{preset}.safetensors")
        folders = [Path(folder) for folder in features[preset]]
        truth, predicted = [], []
        for annotation in sorted((root / "Validation/annotations").glob("*.csv")):
            video, labels = annotation.stem, labels_of(annotation)
            r = (Clips if stream == "clips" else Pictures)(stored(folders[0], f"validation-{video}"))
            k = None
            if stream == "skeletons":
                k = Skeletons(skeletons / f"Validation/{video}.npy")
            elif stream == "flow":
                k = Pictures(stored(folders[1], f"flow-validation-{video}"))
            chances = score(head, length, r, k, len(labels))
            truth.append(labels[labels >= 0] == 1)
            predicted.append(chances[labels >= 0] >= 0.5)
        truth, predicted = np.concatenate(truth), np.concatenate(predicted)
        both = [f1(truth, predicted), f1(~truth, ~predicted)]
        results[row] = both + [sum(both) / 2]
    print(json.dumps(results))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]))
