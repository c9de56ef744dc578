"""What a neutral look of each person changes: scores of `affectlens analyze --baseline` beside those without it.

    python baseline.py PICTURES LABELS.csv WORK [--folds 2,3,4] [--neutral 1] [--affectlens PROGRAM] [-- OPTIONS]

LABELS.csv has the columns image, emotion, identity and fold; PICTURES holds `foldN/EMOTION/NAME.jpg`. Every person with a
neutral picture and others becomes a folder of frames under WORK: the first neutral pictures (`--neutral`) as the look,
then each other picture once, with the look again before it, so that the tracker takes them for one face. Both runs see
the same frames, and only faces that have the baseline are compared. OPTIONS go to `affectlens analyze`.

Needs Python's standard library only.
"""

import argparse
import collections
import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys

FPS = 25
# Frames of the look before the first picture and between two.
FIRST, BETWEEN = 6, 5
PAIRS = [
    ("AU4", "anger"),
    ("AU15", "sadness"),
    ("AU1", "sadness"),
    ("AU1", "surprise"),
    ("AU12", "happiness"),
    ("AU26", "surprise"),
]


def people(labels, folds):
    found = collections.defaultdict(list)
    with open(labels, newline="") as rows:
        for row in csv.DictReader(rows):
            if row["fold"] in folds:
                found[row["identity"]].append(row)
    for identity, rows in sorted(found.items()):
        rows.sort(key=lambda row: row["image"])
        neutral = [row for row in rows if row["emotion"] == "neutral"]
        if neutral and len(neutral) < len(rows):
            yield identity, rows, neutral


def write_frames(args):
    """Writes the folders; gives the label of each frame that is scored, by file."""
    labels = {}
    shutil.rmtree(args.work, ignore_errors=True)
    for person, (_, rows, neutral) in enumerate(people(args.labels, args.folds)):
        folder = args.work / f"{person:04}"
        folder.mkdir(parents=True)
        path = lambda row: args.pictures / f"fold{row['fold']}" / row["emotion"] / (row["image"].rsplit(".", 1)[0] + ".jpg")
        look = neutral[: args.neutral]
        frames = [(look[index % len(look)], False) for index in range(FIRST * len(look))]
        for row in rows:
            if row not in look:
                frames += [(row, True)] + [(look[index % len(look)], False) for index in range(BETWEEN)]
        for number, (row, is_scored) in enumerate(frames):
            name = folder / f"{number:05}.jpg"
            os.link(path(row), name) if args.link else shutil.copy(path(row), name)
            if is_scored:
                labels[str(name.relative_to(args.work))] = row["emotion"]
    return labels


def analyze(args, options):
    command = [args.affectlens, "analyze", str(args.work), "--recursive", "--fps", str(FPS), "--half-window", "0"]
    command += ["--action-units-half-window", "0", "--tasks", "expression,action-units", "--device", "cpu"]
    lines = subprocess.run(command + options + args.options, check=True, stdout=subprocess.PIPE, text=True).stdout
    reports = {}
    for line in lines.splitlines():
        report = json.loads(line)
        area = lambda face: face["box"][2] * face["box"][3]
        reports[report["file"]] = max(report["faces"], key=area, default=None)
    return reports


def area_under_curve(positives, negatives):
    wins = sum((p > n) + (p == n) / 2 for p in positives for n in negatives)
    return wins / (len(positives) * len(negatives))


def scores(faces):
    """faces: label and report of each."""
    classes = sorted({label for label, _ in faces})
    predicted = [(label, face["expression"]["label"]) for label, face in faces]
    f1 = {}
    for name in classes:
        hits = sum(label == guess == name for label, guess in predicted)
        wrong = sum((label == name) != (guess == name) for label, guess in predicted)
        f1[name] = 2 * hits / (2 * hits + wrong)
    others = {guess for _, guess in predicted} - set(classes)
    units = {}
    for unit, expression in PAIRS:
        strengths = lambda name: [face["action_units"][unit] for label, face in faces if label == name and "action_units" in face]
        units[f"{unit} {expression}"] = area_under_curve(strengths(expression), strengths("neutral"))
    return {
        "accuracy": sum(label == guess for label, guess in predicted) / len(predicted),
        "macro_f1": sum(f1.values()) / (len(f1) + len(others)),
        "f1": f1,
        "auc": units,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("labels", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--folds", default="2,3,4", type=lambda text: set(text.split(",")))
    parser.add_argument("--neutral", default=1, type=int)
    parser.add_argument("--without", default="contempt,fear", type=lambda text: set(text.split(",")))
    parser.add_argument("--affectlens", default="affectlens")
    parser.add_argument("--keep", type=pathlib.Path, help="file for the reports that were compared")
    parser.add_argument("--link", action="store_true", help="hard links instead of copies")
    arguments = sys.argv[1:]
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    args = parser.parse_args(arguments[:cut])
    args.options = arguments[cut + 1 :]
    labels = write_frames(args)
    plain = analyze(args, [])
    span = FIRST * args.neutral / FPS
    calibrated = analyze(args, ["--baseline", f"{span}"])
    labels = {file: label for file, label in labels.items() if label not in args.without}
    compared = [file for file in labels if plain[file] and calibrated[file] and calibrated[file].get("baseline")]
    pairs = lambda reports: [(labels[file], reports[file]) for file in compared]
    result = {
        "people": len({file.split("/")[0] for file in compared}),
        "pictures": len(labels),
        "compared": len(compared),
        "labels": collections.Counter(labels[file] for file in compared),
        "without": scores(pairs(plain)),
        "with": scores(pairs(calibrated)),
    }
    if args.keep:
        rows = [[file.split("/")[0], labels[file], plain[file], calibrated[file]] for file in compared]
        args.keep.write_text(json.dumps(rows))
    print(json.dumps(result, indent=1))


main()
