"""The face tables computed a second time, with numpy: python3 tables.py ROOT HEADS

ROOT is a tree in Aff-Wild2's layout with libreface.csv in it, HEADS the folder that `affectlens tables` wrote: trained
heads, and tables.json with the folders of cached features. Prints {"E4": [macro-F1, accuracy], "V3": [CCC valence, CCC
arousal, mean], "A2": [mean F1, mean F1 on logits], ...}. Written from the specification (3 to 7), not from the Rust
code: labels, gaps, windows, biases, filter, thresholds and scores are all its own.
"""

import csv
import glob
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


def crops(root, annotation):
    return sorted(int(p.stem) for p in (root / "cropped" / annotation.stem).glob("*.jpg"))


def valid_labels(task, annotation):
    lines = annotation.read_text().split("\n")[1:]
    labels = {n: [float(v) for v in line.split(",")] for n, line in enumerate(lines, 1) if line}
    return {n: label for n, label in labels.items() if min(label) >= INVALID_BELOW[task]}


class Video:
    """Rows of frames, and which of the labelled frames are among them."""

    def __init__(self, frames, rows, labels):
        assert len(frames) == len(rows)
        self.frames, self.rows = list(frames), rows
        kept = [n for n in self.frames if n in labels]
        self.labels = np.array([labels[n] for n in kept])
        self.places = [self.frames.index(n) for n in kept]
        self.labelled = [n - 1 for n in kept]

    @classmethod
    def seen(cls, root, features, task, annotation):
        """Rows of the crops that exist."""
        tensors, metadata = read_safetensors(stored(features, annotation.stem))
        frames = [int(name.split(".")[0]) for name in metadata["pictures"].split()]
        assert sorted(frames) == crops(root, annotation), "all crops can be read"
        return cls(frames, tensors["embeddings"], valid_labels(task, annotation))

    @classmethod
    def heard(cls, root, features, task, annotation, training):
        """The vectors of sound: of all labelled frames for training, else of the crops that exist."""
        labels = valid_labels(task, annotation)
        name = annotation.stem.removesuffix("_left").removesuffix("_right")
        if not list((root / "videos").glob(f"{name}.*")):
            return cls([], np.zeros((0, 1)), labels)
        tensors, metadata = read_safetensors(stored(features, name))
        vectors, count = tensors["embeddings"], int(metadata["frames"]) + 1
        index = {f + 1: int(f * len(vectors) / count) for f in range(count)}
        if training:
            frames = [n for n in sorted(labels) if n in index]
        else:
            frames = [n for n in crops(root, annotation) if n in index or n - 1 in index]
        return cls(frames, vectors[[index.get(n, index.get(n - 1)) for n in frames]], labels)

    @classmethod
    def scored(cls, root, table, task, annotation):
        """LibreFace's scores of the crops that have some."""
        frames = [n for n in crops(root, annotation) if (annotation.stem, n) in table]
        rows = np.array([table[annotation.stem, n] for n in frames])
        return cls(frames, rows, valid_labels(task, annotation))

    def smooth(self, rows, delta):
        dense = np.stack([np.interp(range(1, self.frames[-1] + 1), self.frames, column) for column in rows.T], axis=1)
        means = [dense[max(i - delta, 0) : i + delta + 1].mean(axis=0) for i in range(len(dense))]
        return np.array(means)[self.labelled]


class Part:
    def __init__(self, root, task, part, video, width=None):
        annotations = sorted((root / TREES[task] / part).glob("*.txt"))
        self.videos = [video(annotation) for annotation in annotations]
        self.labels = np.concatenate([video.labels for video in self.videos if len(video.frames)])
        self.width = width

    @classmethod
    def seen(cls, root, features, task, part, width):
        return cls(root, task, part, lambda it: Video.seen(root, features, task, it), width)

    @classmethod
    def heard(cls, root, features, task, part):
        training = part == "Train_Set"
        return cls(root, task, part, lambda it: Video.heard(root, features, task, it, training))

    def apply(self, function):
        """What a function of embeddings and outputs gives, one array a video."""
        width = self.width or self.videos[-1].rows.shape[1]
        return [function(video.rows[:, :width], video.rows[:, width:]) for video in self.videos]

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


def class_counts(part):
    return np.bincount(part.labels[:, 0].astype(int), minlength=8)


def mlp(heads, name):
    head, _ = read_safetensors(heads / f"{name}.safetensors")
    return lambda e, _: linear(head, "net.2", np.maximum(linear(head, "net.0", e), 0))


def expression(root, features, heads, width, sound):
    part = Part.seen(root, features, "expression", "Validation_Set", width)
    truth = part.labels[:, 0].astype(int)
    counts = class_counts(Part.seen(root, features, "expression", "Train_Set", width))
    heard = Part.heard(root, sound, "expression", "Validation_Set")
    heard_truth = heard.labels[:, 0].astype(int)
    heard_counts = class_counts(Part.heard(root, sound, "expression", "Train_Set"))

    def probabilities(name, part=part):
        logits = mlp(heads, name)
        return part.apply(lambda e, o: softmax(logits(e, o)))

    def adjust(rows, part=part, truth=truth, counts=counts):
        bias = tune_biases(part.frames(rows), truth, counts)
        return [softmax(np.log(r + 1e-12) + bias) for r in rows], bias

    def mixed(mix, faces, sounds):
        """Faces with what is heard in the same frame, faces alone where nothing is."""
        rows = []
        for seen, heard_video, face, sound in zip(part.videos, heard.videos, faces, sounds):
            place = {n: i for i, n in enumerate(heard_video.frames)}
            rows.append(np.array([mix(f, sound[place[n]]) if n in place else mix(f, f)
                                  for n, f in zip(seen.frames, face)]))
        return rows

    def decide(rows, sure, threshold):
        answer = sure[:, :7].argmax(axis=1)
        is_sure = sure[np.arange(len(sure)), answer] > threshold
        return np.where(is_sure, answer, rows.argmax(axis=1))

    plain, focal = probabilities("expression"), probabilities("expression-focal")
    (adjusted, bias), (focal_adjusted, _) = adjust(plain), adjust(focal)
    audio = probabilities("expression-audio", heard)
    audio_adjusted, audio_bias = adjust(audio, heard, heard_truth, heard_counts)
    of_heard = lambda rows: expression_scores(heard_truth, rows.argmax(axis=1))
    scores = lambda rows, b: [np.log(r + 1e-12) + b for r in rows]
    weigh = lambda face, sound: 0.6 * face + 0.4 * sound
    pooled = mixed(weigh, scores(plain, bias), scores(audio, audio_bias))
    blended = part.smooth(mixed(weigh, adjusted, audio_adjusted), 50)
    sure = part.apply(lambda _, o: softmax(o[:, MAPPED]))
    of = lambda rows: expression_scores(truth, rows.argmax(axis=1))
    smooth = part.smooth(adjusted, 50)
    return {
        "E1": of_heard(heard.frames(audio)),
        "E2": of_heard(heard.frames(audio_adjusted)),
        "E3": of_heard(heard.smooth(audio_adjusted, 50)),
        "E9": of(part.frames(pooled)),
        "E12": of(blended),
        "E13": expression_scores(truth, decide(blended, part.smooth(sure, 50), 0.8)),
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


def valence_arousal(root, features, heads, width, sound):
    task = "valence-arousal"
    part = Part.seen(root, features, task, "Validation_Set", width)
    head, _ = read_safetensors(heads / "valence-arousal.safetensors")
    with open(root / "libreface.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ["Neutral", "Happiness", "Sadness", "Surprise", "Fear", "Disgust", "Anger", "Contempt"]
    key = lambda image: (image.split("/")[0], int(image.split("/")[1].split(".")[0]))
    # Kept in 16 bits like all features.
    table = {key(row["image"]): [float(np.float16(row[name])) for name in names] for row in rows}
    heard = Part.heard(root, sound, task, "Validation_Set")
    scored = Part(root, task, "Validation_Set", lambda it: Video.scored(root, table, task, it))

    def scores(rows, part=part):
        both = [concordance(rows[:, i], part.labels[:, i]) for i in range(2)]
        return both + [sum(both) / 2]

    def of_hidden_layer(part, name):
        logits = mlp(heads, name)
        return scores(part.frames(part.apply(lambda e, o: np.tanh(logits(e, o)))), part)

    own = part.apply(lambda _, o: np.clip(o[:, -2:], -1, 1))
    trained = part.apply(lambda _, o: np.tanh(linear(head, "fc", o)))
    return {
        "V1": of_hidden_layer(heard, "valence-arousal-audio"),
        "V2": of_hidden_layer(scored, "valence-arousal-libreface"),
        "V3": scores(part.frames(own)),
        "V4": scores(part.frames(trained)),
        "V5 25": scores(part.smooth(trained, 25)),
        "V5 50": scores(part.smooth(trained, 50)),
    }


def action_units(root, features, heads, width, sound):
    part = Part.seen(root, features, "action-units", "Validation_Set", width)
    truth = part.labels == 1
    head, _ = read_safetensors(heads / "action-units.safetensors")
    bn = {name: head[f"embedding.bn1.{name}"] for name in ["weight", "bias", "running_mean", "running_var"]}

    def of_embeddings(e, _):
        x = linear(head, "embedding.fc1", e)
        x = (x - bn["running_mean"]) / np.sqrt(bn["running_var"] + 1e-5) * bn["weight"] + bn["bias"]
        return linear(head, "embedding.fc2", np.maximum(x, 0))

    embeddings = part.apply(of_embeddings)
    logits = part.apply(lambda _, o: linear(head, "logits.fc", o))
    mean_f1 = lambda rows, t, truth=truth: float(np.mean([f1(truth[:, i], rows[:, i] >= t[i]) for i in range(12)]))
    grid = np.float32(np.arange(1, 10)) / np.float32(10)
    tune = lambda chances, truth: [
        grid[np.argmax([f1(truth[:, i], chances[:, i] >= t) for t in grid])] for i in range(12)
    ]
    heard = Part.heard(root, sound, "action-units", "Validation_Set")
    heard_logits = heard.frames(heard.apply(mlp(heads, "action-units-audio")))
    heard_truth = heard.labels == 1
    tuned = tune(sigmoid(heard_logits), heard_truth)
    table = {"A1": [mean_f1(rows, tuned, heard_truth) for rows in [sigmoid(heard_logits), heard_logits]]}
    for weight, ids, windows in [
        (0.0, ["A2", "A3", "A4", "A5"], [7, 7]),
        (1.0, ["A6", "A7", "A8", "A9"], [5, 5]),
        (0.5, ["A10", "A11", "A12", "A13"], [7, 5]),
    ]:
        blend = lambda f: [weight * f(a) + (1 - weight) * f(b) for a, b in zip(embeddings, logits)]
        kinds = [blend(sigmoid), blend(lambda rows: rows)]
        tuned = tune(part.frames(kinds[0]), truth)
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
        features, sound = Path(report["features"][task]), Path(report["sound"]["features"])
        results |= function(root, features, heads, report["embedding_widths"][task], sound)
    print(json.dumps(results))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
