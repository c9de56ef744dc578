"""Times wav2vec 2.0 base beside onnxruntime on this CPU: the same seeded weights, the same sound, taking turns.

    python sound.py AFFECTLENS [--seconds 10] [--rounds 5] [--threads 1,2]
    python sound.py --write FOLDER [--seconds 10]

AFFECTLENS is the program. With --write nothing is timed: FOLDER gets the network for both, `wav2vec2-base.safetensors` and
`wav2vec2-base.onnx`, and the sound, `wav2vec2-base.input`. The ONNX graph is the published architecture with the operators that onnxruntime has kernels
for (LayerNormalization, Gelu, InstanceNormalization for a norm of one channel a group) and the weight norm folded. Before
anything is timed the outputs are compared. Prints milliseconds, seconds of sound a second, and ratios; that of processor
time too, which counts on a machine that others use (Linux).

Needs numpy, onnx and onnxruntime (requirements.txt).
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from weights import uniform, write_safetensors

OPSET = 20
RATE = 16_000
EPSILON = 1e-5
CHANNELS, WIDTH, HEADS, LAYERS, HIDDEN = 512, 768, 12, 12, 3072
KERNELS = [10, 3, 3, 3, 3, 2, 2]
STRIDES = [5, 2, 2, 2, 2, 2, 2]
POSITION_KERNEL, POSITION_GROUPS = 128, 16
# Between the two programs: f32 sums in another order.
TOLERANCE = 1e-3
# An engine's threads may spin for a while after its turn.
PAUSE_S = 0.05


def parameters():
    """Shapes by canonical name: crates/formats/src/architecture/wav2vec2.rs."""

    def pair(name, *shape):
        return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}

    shapes = {}
    for index, kernel in enumerate(KERNELS):
        shapes[f"extractor.{index}.weight"] = (CHANNELS, CHANNELS if index else 1, kernel)
    shapes |= pair("extractor.0.norm", CHANNELS) | pair("projection.norm", CHANNELS)
    shapes |= pair("projection", WIDTH, CHANNELS)
    shapes |= pair("position", WIDTH, WIDTH // POSITION_GROUPS, POSITION_KERNEL) | pair("encoder.norm", WIDTH)
    for index in range(LAYERS):
        layer = f"layers.{index}"
        for part in ["query", "key", "value", "output"]:
            shapes |= pair(f"{layer}.attention.{part}", WIDTH, WIDTH)
        shapes |= pair(f"{layer}.norm1", WIDTH) | pair(f"{layer}.norm2", WIDTH)
        shapes |= pair(f"{layer}.fc1", HIDDEN, WIDTH) | pair(f"{layer}.fc2", WIDTH, HIDDEN)
    return shapes


def seeded(name, shape):
    values = uniform(name, int(np.prod(shape))).reshape(shape)
    if name.endswith("bias"):
        return values * np.float32(0.25)
    if len(shape) == 1:
        return np.float32(1) + values * np.float32(0.25)
    return values * np.float32((4.5 / np.prod(shape[1:])) ** 0.5)


class Graph:
    def __init__(self, weights):
        self.weights = weights
        self.nodes, self.constants = [], []

    def constant(self, name, values):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, operator, *inputs, **attributes):
        output = f"{operator}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def dense(self, name, x):
        weight = self.constant(f"{name}.weight", self.weights[f"{name}.weight"].T)
        return self.add("Add", self.add("MatMul", x, weight), self.constant(f"{name}.bias", self.weights[f"{name}.bias"]))

    def norm(self, name, x):
        parts = [self.constant(f"{name}.{part}", self.weights[f"{name}.{part}"]) for part in ["weight", "bias"]]
        return self.add("LayerNormalization", x, *parts, axis=-1, epsilon=EPSILON)

    def split_heads(self, name, x, order):
        shape = self.constant(f"{name}.shape", np.array([1, -1, HEADS, WIDTH // HEADS], np.int64))
        return self.add("Transpose", self.add("Reshape", self.dense(name, x), shape), perm=order)

    def attention(self, name, x):
        query = self.split_heads(f"{name}.query", x, [0, 2, 1, 3])
        key = self.split_heads(f"{name}.key", x, [0, 2, 3, 1])
        value = self.split_heads(f"{name}.value", x, [0, 2, 1, 3])
        scale = self.constant(f"{name}.scale", np.array((WIDTH // HEADS) ** -0.5, np.float32))
        scores = self.add("Softmax", self.add("MatMul", self.add("Mul", query, scale), key), axis=-1)
        x = self.add("Transpose", self.add("MatMul", scores, value), perm=[0, 2, 1, 3])
        shape = self.constant(f"{name}.merged", np.array([1, -1, WIDTH], np.int64))
        return self.dense(f"{name}.output", self.add("Reshape", x, shape))


def network(weights, samples):
    graph = Graph(weights)
    x = "input"
    for index, stride in enumerate(STRIDES):
        name = f"extractor.{index}.weight"
        x = graph.add("Conv", x, graph.constant(name, weights[name]), strides=[stride])
        if index == 0:
            parts = [f"extractor.0.norm.{part}" for part in ["weight", "bias"]]
            parts = [graph.constant(name, weights[name]) for name in parts]
            x = graph.add("InstanceNormalization", x, *parts, epsilon=EPSILON)
        x = graph.add("Gelu", x)
    x = graph.norm("projection.norm", graph.add("Transpose", x, perm=[0, 2, 1]))
    x = graph.dense("projection", x)
    parts = [graph.constant(f"position.{part}", weights[f"position.{part}"]) for part in ["weight", "bias"]]
    # The output after the last is left away: one zero less behind the row.
    pads = [POSITION_KERNEL // 2, POSITION_KERNEL // 2 - 1]
    places = graph.add("Transpose", x, perm=[0, 2, 1])
    places = graph.add("Gelu", graph.add("Conv", places, *parts, pads=pads, group=POSITION_GROUPS))
    x = graph.add("Add", x, graph.add("Transpose", places, perm=[0, 2, 1]))
    x = graph.norm("encoder.norm", x)
    for index in range(LAYERS):
        layer = f"layers.{index}"
        x = graph.norm(f"{layer}.norm1", graph.add("Add", x, graph.attention(f"{layer}.attention", x)))
        hidden = graph.add("Gelu", graph.dense(f"{layer}.fc1", x))
        x = graph.norm(f"{layer}.norm2", graph.add("Add", x, graph.dense(f"{layer}.fc2", hidden)))
    graph.nodes.append(helper.make_node("Identity", [x], ["output"]))
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "wav2vec2",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 1, samples])],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, None, WIDTH])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=10,
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


class Affectlens:
    def __init__(self, program, folder, seconds, threads):
        command = [program, "bench", "--serve", "--network", "wav2vec2-base", "--device", "cpu", "--weights", folder]
        command += ["--input", f"{folder}/input", "--seconds", str(seconds), "--threads", str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first_ms = json.loads(self.process.stdout.readline())["first_ms"]

    def ask(self, line):
        print(line, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def output(self):
        return np.array(self.ask("output")["output"], np.float32)

    def run(self):
        return self.ask("run 1")["times_ms"][0]

    def processor_s(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            user, system = stat.read().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def quit(self):
        said = self.ask("quit")
        self.process.wait(timeout=60)
        return said


class OnnxRuntime:
    def __init__(self, model, sound, threads):
        started = time.perf_counter()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.sound = sound
        self.result = self.forward()
        self.first_ms = 1e3 * (time.perf_counter() - started)

    def forward(self):
        return self.session.run(None, {"input": self.sound})[0]

    def output(self):
        return self.result.reshape(-1)

    def run(self):
        started = time.perf_counter()
        self.forward()
        return 1e3 * (time.perf_counter() - started)

    def processor_s(self):
        return time.process_time()


def compare(program, folder, model, sound, arguments):
    for threads in map(int, arguments.threads.split(",")):
        engines = {
            "affectlens": Affectlens(program, folder, arguments.seconds, threads),
            "onnxruntime": OnnxRuntime(model, sound, threads),
        }
        ours, theirs = [engine.output() for engine in engines.values()]
        difference = np.abs(ours - theirs).max() / np.abs(theirs).max()
        if not difference <= TOLERANCE:
            raise SystemExit(f"outputs differ by {difference}, tolerated {TOLERANCE}")
        times, processor = ({name: [] for name in engines} for _ in range(2))
        for turn in range(arguments.rounds):
            for name, engine in list(engines.items())[:: 1 if turn % 2 == 0 else -1]:
                time.sleep(PAUSE_S)
                before = engine.processor_s()
                times[name].append(engine.run())
                processor[name].append(engine.processor_s() - before)
        memory = engines["affectlens"].quit()["peak_memory_bytes"]
        medians = {name: float(np.median(values)) for name, values in times.items()}
        for name, median in medians.items():
            speed = arguments.seconds / median * 1e3
            print(f"{threads} threads, {name}: median {median:.0f} ms, {speed:.1f} seconds of sound a second")
        ratio = medians["affectlens"] / medians["onnxruntime"]
        used = {name: float(np.median(values)) for name, values in processor.items()}
        print(f"{threads} threads: processor time {used['affectlens']:.2f} s and {used['onnxruntime']:.2f} s")
        used = used["affectlens"] / used["onnxruntime"]
        print(f"{threads} threads: ratio {ratio:.2f}, of processor time {used:.2f}, outputs differ by {difference:.1e}, peak {memory / 1e6:.0f} MB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?")
    parser.add_argument("--write", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", default="1,2")
    arguments = parser.parse_args()
    if (arguments.program is None) == (arguments.write is None):
        parser.error("expected either a program or --write FOLDER")
    metadata = {"architecture": "wav2vec2-base"}
    weights = {name: seeded(name, shape) for name, shape in parameters().items()}
    sound = uniform("sound", arguments.seconds * RATE) * np.float32(3**0.5)
    if arguments.write is not None:
        arguments.write.mkdir(parents=True, exist_ok=True)
        write_safetensors(arguments.write / "wav2vec2-base.safetensors", weights, metadata)
        (arguments.write / "wav2vec2-base.onnx").write_bytes(network(weights, sound.size))
        sound.tofile(arguments.write / "wav2vec2-base.input")
        return
    with tempfile.TemporaryDirectory() as folder:
        write_safetensors(pathlib.Path(folder, "wav2vec2-base.safetensors"), weights, metadata)
        sound.tofile(pathlib.Path(folder, "input"))
        model = network(weights, sound.size)
        compare(arguments.program, folder, model, sound.reshape(1, 1, -1), arguments)


if __name__ == "__main__":
    main()
