"""The lines that `affectlens bench --serve` reads and writes, for an engine in Python."""

import argparse
import json
import sys
import time

import numpy as np


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
