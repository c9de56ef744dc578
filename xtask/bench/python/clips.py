"""Times the networks over clips, and ResNet-50, beside onnxruntime on this CPU: the same seeded weights, the same clip, taking
turns.

    python clips.py AFFECTLENS [--rounds 5] [--threads 2] [NAME...]

AFFECTLENS is the program. torchvision builds each network, transformers VideoMAE (videomae-crime in the sizes of the base, which
its config has), tests/goldens/slowfast.py SlowFast, and seeded weights fill it; `affectlens convert` reads the checkpoint,
torch.onnx writes the same network without its classifier for onnxruntime. Before anything is timed the outputs are compared.
Prints milliseconds a clip of 16 frames of 224 pixels, or a picture, ratios, and the most memory of each process.

Needs numpy, onnx and onnxruntime (requirements.txt), torch, torchvision and transformers.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
import torchvision
import transformers
from weights import uniform

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parents[2] / "tests/goldens"))
from slowfast import SlowFast  # noqa: E402

PICTURE = (1, 3, 224, 224)
CLIP = (1, 3, 16, 224, 224)
# Between the two programs: f32 sums in another order.
TOLERANCE = 1e-3
# An engine's threads may spin for a while after its turn.
PAUSE_S = 0.1


class Features(torch.nn.Module):
    """Means over the pixels of the last maps, `[batch, moments, width]`; of pictures `[batch, width]`."""

    def __init__(self, name):
        super().__init__()
        self.network = SlowFast(400) if name == "slowfast" else torchvision.models.get_model(name)
        layers = {"s3d": ["features"], "slowfast": []}.get(name)
        if layers is None:
            layers = [part for part, _ in self.network.named_children()][:-2]
        self.trunk = torch.nn.Sequential(*map(self.network.get_submodule, layers)) if layers else self.network

    def forward(self, clip):
        means = self.trunk(clip).mean((-2, -1))
        return means.transpose(1, 2) if clip.dim() == 5 else means


class Swin(torch.nn.Module):
    """The same of Video Swin-T."""

    def __init__(self, name):
        super().__init__()
        self.network = torchvision.models.get_model(name)

    def forward(self, clip):
        maps = self.network.features(self.network.patch_embed(clip))
        return self.network.norm(maps).mean((2, 3))


class VideoMae(torch.nn.Module):
    """The same of a VideoMAE."""

    def __init__(self, sizes):
        super().__init__()
        config = transformers.VideoMAEConfig(**sizes, attn_implementation="eager")
        self.network = transformers.VideoMAEModel(config)

    def forward(self, clip):
        tubes = self.network(clip.transpose(1, 2)).last_hidden_state
        config = self.network.config
        return tubes.unflatten(1, (config.num_frames // config.tubelet_size, -1)).mean(2)


VIDEOMAE_SMALL = dict(hidden_size=384, num_attention_heads=6, intermediate_size=1536)
NETWORKS = {
    "resnet50": (Features, "resnet50", PICTURE),
    "r3d-18": (Features, "r3d_18", CLIP),
    "r2plus1d-18": (Features, "r2plus1d_18", CLIP),
    "s3d": (Features, "s3d", CLIP),
    "slowfast-r50": (Features, "slowfast", CLIP),
    "videomae-small": (VideoMae, VIDEOMAE_SMALL, CLIP),
    "videomae-crime": (VideoMae, {}, CLIP),
    "swin3d-t": (Swin, "swin3d_t", CLIP),
}


def fill(network):
    """Weights that keep activations of order one, and batch norms that do something."""
    for name, parameter in network.state_dict().items():
        if not parameter.is_floating_point():
            continue
        values = uniform(name, parameter.numel()).reshape(parameter.shape)
        if name.endswith("running_var"):
            values = 1 + 0.5 * values
        elif name.endswith(("running_mean", "bias")):
            values = 0.25 * values
        elif parameter.dim() == 1:
            values = 1 + 0.25 * values
        else:
            values = values * np.sqrt(4.5 / np.prod(parameter.shape[1:]))
        parameter.copy_(torch.from_numpy(np.asarray(values, np.float32)))


def write(name, program, folder):
    """The network for both programs, and a clip."""
    build, architecture, shape = NETWORKS[name]
    model = build(architecture).eval()
    with torch.no_grad():
        fill(model.network)
    # Without the classes of pictures, which are part of the network there.
    parameters = {key: value for key, value in model.network.state_dict().items() if not key.startswith("fc.")}
    torch.save(parameters, folder / f"{name}.pth")
    if name == "videomae-crime":
        (folder / "config.json").write_text(model.network.config.to_json_string())
    weights = folder / f"{name}.safetensors"
    subprocess.run([program, "convert", folder / f"{name}.pth", weights, "--backbone", name], check=True)
    clip = uniform("clip", int(np.prod(shape))).reshape(shape) * np.float32(2)
    clip.tofile(folder / "input")
    with torch.no_grad():
        torch.onnx.export(
            model,
            (torch.from_numpy(clip),),
            folder / f"{name}.onnx",
            input_names=["input"],
            output_names=["output"],
            opset_version=18,
            dynamo=False,
        )


class Engine:
    """A process that answers the lines of `affectlens bench --serve`."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first_ms = json.loads(self.process.stdout.readline())["first_ms"]

    def ask(self, line):
        print(line, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


def compare(name, program, folder, threads, rounds):
    write(name, program, folder)
    ours = [program, "bench", "--serve", "--network", name, "--device", "cpu", "--weights", folder]
    theirs = [sys.executable, HERE / "serve_onnxruntime.py", "--model", folder / f"{name}.onnx"]
    theirs += ["--shape", ",".join(map(str, NETWORKS[name][2]))]
    more = ["--input", folder / "input", "--threads", str(threads)]
    engines = {"affectlens": Engine(ours + more), "onnxruntime": Engine(theirs + more)}
    outputs = [np.array(engine.ask("output")["output"], np.float32) for engine in engines.values()]
    difference = np.abs(outputs[0] - outputs[1]).max() / np.abs(outputs[1]).max()
    if not difference <= TOLERANCE:
        raise SystemExit(f"{name}: outputs differ by {difference}, tolerated {TOLERANCE}")
    times = {engine: [] for engine in engines}
    for turn in range(rounds):
        for engine in list(engines)[:: 1 if turn % 2 == 0 else -1]:
            time.sleep(PAUSE_S)
            times[engine] += engines[engine].ask("run 1")["times_ms"]
    medians = {engine: float(np.median(values)) for engine, values in times.items()}
    memory = {engine: process.ask("quit")["peak_memory_bytes"] / 1e6 for engine, process in engines.items()}
    for engine, median in medians.items():
        spread = f"{min(times[engine]):.0f} to {max(times[engine]):.0f}"
        print(f"{name}, {threads} threads, {engine}: median {median:.0f} ms ({spread}), peak {memory[engine]:.0f} MB")
    ratio = medians["affectlens"] / medians["onnxruntime"]
    peak = memory["affectlens"] / memory["onnxruntime"]
    print(f"{name}, {threads} threads: ratio {ratio:.2f}, of memory {peak:.2f}, outputs differ by {difference:.1e}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    for name in arguments.names or NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            compare(name, arguments.program, pathlib.Path(folder), arguments.threads, arguments.rounds)


if __name__ == "__main__":
    main()
