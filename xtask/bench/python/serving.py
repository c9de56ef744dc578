"""The lines that `affectlens bench --serve` reads and writes, for an engine in Python."""

import argparse
import json
import sys
import time

import numpy as np

# Numbers of the points of a body, and of their heat maps.
POINTS, HEATMAPS = 39 * 5, 64 * 64 * 39


def memory(field):
    """Bytes on a line of this process's status; None where the system does not say."""
    try:
        with open("/proc/self/status") as status:
            lines = [line.split() for line in status if line.startswith(field)]
    except OSError:
        return None
    return int(lines[0][1]) * 1024 if lines else None


def parse_arguments(parser=None):
    """The model's bytes, the input of one run, and the arguments."""
    parser = parser or argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--shape", required=True, help="of one run: 1,3,224,224")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    shape = [int(side) for side in arguments.shape.split(",")]
    values = np.fromfile(arguments.input, np.float32).reshape(-1, *shape[1:])[: shape[0]].copy()
    with open(arguments.model, "rb") as file:
        return file.read(), values, arguments


def channels_last(pictures):
    """As tflite takes them."""
    return np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))


def logit(probability):
    # What is as good as certain has no logit.
    probability = np.clip(probability.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.log(probability / (1 - probability)).astype(np.float32)


def join(outputs):
    """The outputs as `Network.run` gives them. Of landmarks the mask and the points in metres are left away."""
    by_size = {output.size: output for output in outputs}
    parts = sorted(outputs, key=lambda output: -output.size)
    if POINTS in by_size:
        parts = [by_size[POINTS], logit(by_size[1]), by_size[HEATMAPS]]
    return np.concatenate([part.ravel() for part in parts])


def serve(load, model, pictures, adapter="CPU", join=lambda output: output):
    """`load(model)` gives a function from pictures to outputs in main memory; `join`, which is not timed, makes one array of
    the outputs."""
    start_memory = memory("VmRSS:")
    started = time.perf_counter()
    forward = load(model)
    output = forward(pictures)
    say(first_ms=1e3 * (time.perf_counter() - started), adapter=adapter)
    for line in sys.stdin:
        word, _, count = line.strip().partition(" ")
        if word == "run":
            times = []
            for _ in range(int(count)):
                started = time.perf_counter()
                forward(pictures)
                times.append(1e3 * (time.perf_counter() - started))
            say(times_ms=times)
        elif word == "output":
            say(output=join(output).reshape(-1).tolist())
        elif word == "quit":
            say(start_memory_bytes=start_memory, peak_memory_bytes=memory("VmHWM:"))
            return
        else:
            sys.exit(f"`{line}`, expected `run N`, `output` or `quit`")


def say(**answer):
    print(json.dumps(answer), flush=True)
