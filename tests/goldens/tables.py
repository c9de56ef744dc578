"""The face tables computed a second time, with numpy: python3 tables.py ROOT HEADS

ROOT is a tree in Aff-Wild2's layout, HEADS the folder that `affectlens tables` wrote: trained heads, and tables.json
with the folders of cached features. Prints {"E4": [macro-F1, accuracy], "V3": [CCC valence, CCC
arousal, mean], "A2": [mean F1, mean F1 on logits], ...}. Written from the specification (3 to 7), not from the Rust
code: labels, gaps, windows, biases, filter, thresholds and scores are all its own.
"""

import json
import sys
from pathlib import Path

import numpy as np

AFFECTNET = ["anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
# Columns of the AffectNet order that stand at neutral, anger, ... surprise, and contempt in the place of other.
MAPPED = [5, 0, 2, 3, 4, 6, 7, 1]
TREES = {
    "expression": "EXPR_Recognition_Challenge",
    "valence-arousal": "VA_Estimation_Challenge",
    "action-units": "AU_Detection_Challenge",
}
INVALID_BELOW = {"expression": 0, "valence-arousal": -1, "action-units": 0}


def read_safetensors(path):
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    kinds = {"F16": np.float16, "F32": np.float32}
    tensors = {
        name: np.frombuffer(data, kinds[entry["dtype"]], offset=8 + length + entry["data_offsets"][0],
                            count=int(np.prod(entry["shape"]))).reshape(entry["shape"]).astype(np.float64)
        for name, entry in header.items()
    }
    return tensors, metadata


def softmax(rows):
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def sigmoid(rows):
    return 1 / (1 + np.exp(-rows))


class Video:
    """Rows of the crops that exist, and which of the labelled frames are among them."""

    def __init__(self, root, features, task, annotation):
        tensors, metadata = read_safetensors(features / f"{annotation.stem}.safetensors")
        self.frames = [int(name.split(".")[0]) for name in metadata["pictures"].split()]
        self.rows = tensors["embeddings"]
        assert len(self.frames) == len(self.rows), "all crops can be read"
        assert sorted(self.frames) == sorted(int(p.stem) for p in (root / "cropped" / annotation.stem).glob("*.jpg"))
        lines = annotation.read_text().split("\n")[1:]
        labels = {n: [float(v) for v in line.split(",")] for n, line in enumerate(lines, 1) if line}
        kept = [n for n in self.frames if n in labels and min(labels[n]) >= INVALID_BELOW[task]]
        self.labels = np.array([labels[n] for n in kept])
        self.places = [self.frames.index(n) for n in kept]
        self.labelled = [n - 1 for n in kept]

    def smooth(self, rows, delta):
        dense = np.stack([np.interp(range(1, self.frames[-1] + 1), self.frames, column) for column in rows.T], axis=1)
        means = [dense[max(i - delta, 0) : i + delta + 1].mean(axis=0) for i in range(len(dense))]
        return np.array(means)[self.labelled]


class Part:
    def __init__(self, root, features, task, part, width):
        annotations = sorted((root / TREES[task] / part).glob("*.txt"))
        self.videos = [Video(root, features, task, annotation) for annotation in annotations]
        self.labels = np.concatenate([video.labels for video in self.videos])
        self.width = width

    def apply(self, function):
        """What a function of embeddings and outputs gives, one array a video."""
        return [function(video.rows[:, : self.width], video.rows[:, self.width :]) for video in self.videos]

    def frames(self, rows):
        return np.concatenate([r[video.places] for r, video in zip(rows, self.videos)])

    def smooth(self, rows, delta):
        return np.concatenate([video.smooth(r, delta) for r, video in zip(rows, self.videos)])


def f1(truth, predicted):
    hits = (truth & predicted).sum()
    total = truth.sum() + predicted.sum()
    return 2 * hits / total if total else 0.0


def macro_f1(truth, predicted):
    classes = np.union1d(truth, predicted)
    return float(np.mean([f1(truth == c, predicted == c) for c in classes]))


def expression_scores(truth, predicted):
    return [macro_f1(truth, predicted), float((truth == predicted).mean())]


def linear(tensors, key, rows):
    return rows @ tensors[f"{key}.weight"].T + tensors[f"{key}.bias"]


def tune_biases(probabilities, truth, counts):
    logs = np.log(probabilities + 1e-12)
    bias = np.log(counts.max() / counts)
    score = lambda b: macro_f1(truth, (logs + b).argmax(axis=1))
    best = score(bias)
    for _ in range(3):
        accepted = False
        for c in range(len(bias)):
            current = bias[c]
            for step in np.arange(-20, 21) / 10:
                trial = bias.copy()
                trial[c] = current + step
                reached = score(trial)
                if reached > best + 1e-12:
                    best, bias, accepted = reached, trial, True
        if not accepted:
            break
    return bias


def expression(root, features, heads, width):
    part = Part(root, features, "expression", "Validation_Set", width)
    truth = part.labels[:, 0].astype(int)
    counts = np.bincount(Part(root, features, "expression", "Train_Set", width).labels[:, 0].astype(int), minlength=8)

    def probabilities(name):
        head, _ = read_safetensors(heads / f"{name}.safetensors")
        hidden = lambda e: np.maximum(linear(head, "net.0", e), 0)
        return part.apply(lambda e, _: softmax(linear(head, "net.2", hidden(e))))

    def adjust(rows):
        bias = tune_biases(part.frames(rows), truth, counts)
        return [softmax(np.log(r + 1e-12) + bias) for r in rows]

    def decide(rows, sure, threshold):
        answer = sure[:, :7].argmax(axis=1)
        is_sure = sure[np.arange(len(sure)), answer] > threshold
        return np.where(is_sure, answer, rows.argmax(axis=1))

    plain, focal = probabilities("expression"), probabilities("expression-focal")
    adjusted, focal_adjusted = adjust(plain), adjust(focal)
    sure = part.apply(lambda _, o: softmax(o[:, MAPPED]))
    of = lambda rows: expression_scores(truth, rows.argmax(axis=1))
    smooth = part.smooth(adjusted, 50)
    return {
        "E4": of(part.frames(plain)),
        "E5": of(part.frames(adjusted)),
        "E6": expression_scores(truth, decide(part.frames(adjusted), part.frames(sure), 0.9)),
        "E7": of(part.frames(focal)),
        "E8": of(part.frames(focal_adjusted)),
        "E10": of(smooth),
        "E11": expression_scores(truth, decide(smooth, part.smooth(sure, 50), 0.8)),
    }


def concordance(x, y):
    n = len(x)
    covariance = ((x - x.mean()) * (y - y.mean())).sum() / (n - 1)
    return float(2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2 + 1e-12))


def valence_arousal(root, features, heads, width):
    part = Part(root, features, "valence-arousal", "Validation_Set", width)
    head, _ = read_safetensors(heads / "valence-arousal.safetensors")

    def scores(rows):
        both = [concordance(rows[:, i], part.labels[:, i]) for i in range(2)]
        return both + [sum(both) / 2]

    own = part.apply(lambda _, o: np.clip(o[:, -2:], -1, 1))
    trained = part.apply(lambda _, o: np.tanh(linear(head, "fc", o)))
    return {
        "V3": scores(part.frames(own)),
        "V4": scores(part.frames(trained)),
        "V5 25": scores(part.smooth(trained, 25)),
        "V5 50": scores(part.smooth(trained, 50)),
    }


def action_units(root, features, heads, width):
    part = Part(root, features, "action-units", "Validation_Set", width)
    truth = part.labels == 1
    head, _ = read_safetensors(heads / "action-units.safetensors")
    bn = {name: head[f"embedding.bn1.{name}"] for name in ["weight", "bias", "running_mean", "running_var"]}

    def of_embeddings(e, _):
        x = linear(head, "embedding.fc1", e)
        x = (x - bn["running_mean"]) / np.sqrt(bn["running_var"] + 1e-5) * bn["weight"] + bn["bias"]
        return linear(head, "embedding.fc2", np.maximum(x, 0))

    embeddings = part.apply(of_embeddings)
    logits = part.apply(lambda _, o: linear(head, "logits.fc", o))
    mean_f1 = lambda rows, t: float(np.mean([f1(truth[:, i], rows[:, i] >= t[i]) for i in range(12)]))
    table = {}
    for weight, ids, windows in [
        (0.0, ["A2", "A3", "A4", "A5"], [7, 7]),
        (1.0, ["A6", "A7", "A8", "A9"], [5, 5]),
        (0.5, ["A10", "A11", "A12", "A13"], [7, 5]),
    ]:
        blend = lambda f: [weight * f(a) + (1 - weight) * f(b) for a, b in zip(embeddings, logits)]
        kinds = [blend(sigmoid), blend(lambda rows: rows)]
        grid = np.float32(np.arange(1, 10)) / np.float32(10)
        chances = part.frames(kinds[0])
        tuned = [grid[np.argmax([f1(truth[:, i], chances[:, i] >= t) for t in grid])] for i in range(12)]
        half = [0.5] * 12
        table[ids[0]] = [mean_f1(part.frames(rows), half) for rows in kinds]
        table[ids[1]] = [mean_f1(part.frames(rows), tuned) for rows in kinds]
        table[ids[2]] = [mean_f1(part.smooth(rows, windows[0]), half) for rows in kinds]
        table[ids[3]] = [mean_f1(part.smooth(rows, windows[1]), tuned) for rows in kinds]
    return table


def main(root, heads):
    report = json.loads((heads / "tables.json").read_text())
    results = {}
    for task, function in [("expression", expression), ("valence-arousal", valence_arousal), ("action-units", action_units)]:
        results |= function(root, Path(report["features"][task]), heads, report["embedding_widths"][task])
    print(json.dumps(results))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
