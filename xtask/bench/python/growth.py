"""Draws what a frame grows with: with faces, with pixels, and with tasks.

python growth.py RESULTS.json PICTURE.svg
"""

import json
import sys

import matplotlib

matplotlib.use("svg")
# The same figures give the same file.
matplotlib.rcParams["svg.hashsalt"] = "affectlens"
matplotlib.rcParams["svg.fonttype"] = "none"

from matplotlib import pyplot  # noqa: E402

results, picture = sys.argv[1:]
with open(results, encoding="utf-8") as file:
    growth = json.load(file)["growth"]["growth"]

figure, (faces, sizes, tasks) = pyplot.subplots(1, 3, figsize=(12, 3.6), layout="constrained")

shown = [row["shown"] for row in growth["faces"]]
faces.plot(shown, [row["median_ms"] for row in growth["faces"]], "o-", label="in one picture")
faces.plot(shown, [row["alone_ms"] for row in growth["faces"]], "s--", label="each in a picture of its own")
faces.set_xlabel("faces")
faces.set_ylabel("a frame, ms")
faces.set_xticks(shown)
faces.legend()

pixels = [row["width"] * row["height"] / 1e6 for row in growth["sizes"]]
sizes.plot(pixels, [row["median_ms"] for row in growth["sizes"]], "o-")
sizes.set_xlabel("megapixels, one face")

names = ["+ " + row["tasks"][-1] if len(row["tasks"]) > 1 else row["tasks"][0] for row in growth["tasks"]]
tasks.barh(names, [row["median_ms"] for row in growth["tasks"]])
tasks.invert_yaxis()
tasks.set_xlabel("a frame, ms")

for axes in (faces, sizes):
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
figure.savefig(picture, metadata={"Date": None})
