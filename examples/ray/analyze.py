"""Analyses many videos with Ray Data: one row a face and frame, in a Parquet file a video.

    python analyze.py VIDEOS OUT [--workers 4] [--shard 3/64] [-- OPTIONS OF affectlens analyze]

VIDEOS is a folder, a bucket (s3://name/folder, or what else fsspec opens), or a list of paths and addresses in either.

Each worker keeps one `affectlens analyze - --follow`, so that weights are loaded once. A video whose file is in OUT is done: a
run that was stopped goes on where it was. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

ENDINGS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".ts", ".webm"}
# Of a Parquet file; no more rows than that are in memory.
ROWS_OF_GROUP = 10_000
# A process that died is started anew this often for the same video: it may have been killed for another reason.
ATTEMPTS = 2
# Files of videos that are not done; their names end in something random.
PARTIAL = ".partial"
# Tables of people, apart from those of faces: a frame has as many rows in one as there are people, in the other as faces.
PEOPLE = "people"
# Folders with copies of videos from buckets; the number of the process that made it follows.
COPIES = "affectlens-ray-"
# Bytes that are copied at a time, and those of a list at most.
PIECE = 1 << 20
MOST_OF_LIST = 1 << 28

SCORES = pa.map_(pa.string(), pa.float32())
# Which frame, and what was found in it: null from `id` on where no face is in the frame.
FOUND = [
    ("file", pa.string()),
    ("frame", pa.int64()),
    ("time_ms", pa.float64()),
    ("id", pa.int64()),
    ("x", pa.float32()),
    ("y", pa.float32()),
    ("width", pa.float32()),
    ("height", pa.float32()),
    ("score", pa.float32()),
]
SCHEMA = pa.schema(
    [
        *FOUND,
        ("label", pa.string()),
        ("confidence", pa.float32()),
        ("source", pa.string()),
        ("probabilities", SCORES),
        ("valence", pa.float32()),
        ("arousal", pa.float32()),
        ("action_units", SCORES),
        ("violence_probability", pa.float32()),
        ("violent", pa.bool_()),
    ]
)

# The points of a body, as `affectlens::person::KEYPOINTS` orders them.
KEYPOINTS = """
    nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer left_ear right_ear mouth_left mouth_right
    left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_pinky right_pinky left_index right_index
    left_thumb right_thumb left_hip right_hip left_knee right_knee left_ankle right_ankle left_heel right_heel left_foot_index
    right_foot_index
""".split()
POINT = pa.struct([(name, pa.float32()) for name in ("x", "y", "z", "visibility")])
PEOPLE_SCHEMA = pa.schema(
    [
        *FOUND,
        # A column `nose` with x, y, z and visibility, and so on.
        *((name, POINT) for name in KEYPOINTS),
    ]
)


class Died(Exception):
    """The process of a worker ended, or said nothing for too long."""


class NotFetched(Exception):
    """A video of a bucket is not to be had, or too large."""


def frame_of(report: dict, video: str) -> dict:
    return {"file": video, "frame": report["frame"], "time_ms": report["time_ms"]}


def found(what: dict) -> dict:
    """Number, box and score of a face or a person."""
    x, y, width, height = what["box"]
    return {"id": what["id"], "x": x, "y": y, "width": width, "height": height, "score": what["score"]}


def rows_of(report: dict, video: str) -> Iterator[dict]:
    """The rows of a frame: one a face, and one without a face where there is none."""
    violence = report.get("violence", {})
    frame = {
        **frame_of(report, video),
        "violence_probability": violence.get("probability"),
        "violent": violence.get("violent"),
    }
    for face in report["faces"] or [None]:
        if face is None:
            yield frame
            continue
        expression = face.get("expression", {})
        yield {
            **frame,
            **found(face),
            "label": expression.get("label"),
            "confidence": expression.get("confidence"),
            "source": expression.get("source"),
            "probabilities": expression.get("probabilities"),
            "valence": face.get("valence"),
            "arousal": face.get("arousal"),
            "action_units": face.get("action_units"),
        }


def people_of(report: dict, video: str) -> Iterator[dict]:
    """The rows of a frame in the table of people, one each."""
    for person in report["people"]:
        points = zip(KEYPOINTS, person["keypoints"], strict=True)
        yield {
            **frame_of(report, video),
            **found(person),
            **{name: dict(zip(POINT.names, values)) for name, values in points},
        }


class Process:
    """An `affectlens analyze - --follow` that is asked for one file after the other."""

    def __init__(self, command: list[str], patience: float):
        self.patience = patience
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors
        )
        # Few lines wait here: the process waits for whoever is slower to write them.
        self.lines: queue.Queue[bytes | None] = queue.Queue(maxsize=1000)
        self.is_over = False
        threading.Thread(target=self._read, daemon=True).start()

    def _put(self, line: bytes | None) -> None:
        while not self.is_over:
            try:
                return self.lines.put(line, timeout=1)
            except queue.Full:
                pass

    def _read(self) -> None:
        for line in self.process.stdout:
            self._put(line)
        self._put(None)

    def ask(self, path: str) -> Iterator[dict]:
        """The reports on a file, and last the line that ends them."""
        try:
            self.process.stdin.write(os.fsencode(path) + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise Died(self._why()) from error
        while True:
            try:
                line = self.lines.get(timeout=self.patience)
            except queue.Empty:
                raise Died(f"no report came for {self.patience:.0f} s") from None
            if line is None:
                raise Died(self._why())
            report = json.loads(line)
            yield report
            if report.get("ended"):
                return

    def _why(self) -> str:
        try:
            status = self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            return "it closed its output"
        self.errors.seek(max(0, self.errors.seek(0, os.SEEK_END) - 500))
        said = self.errors.read().decode(errors="replace").strip()
        return f"it ended with {status}: {said}"

    def close(self) -> None:
        self.is_over = True
        self.process.kill()
        self.process.wait()
        self.errors.close()


class Table:
    """A Parquet file that is there as a whole or not at all: it is written beside its place, and renamed."""

    def __init__(self, partial: Path, done: Path, schema: pa.Schema):
        self.partial = partial
        self.done = done
        self.schema = schema
        self.writer = pq.ParquetWriter(partial, schema)
        self.rows: list[dict] = []
        self.count = 0

    def add(self, rows: Iterator[dict]) -> None:
        self.rows.extend(rows)
        if len(self.rows) >= ROWS_OF_GROUP:
            self._write()

    def _write(self) -> None:
        self.count += len(self.rows)
        self.writer.write_table(pa.Table.from_pylist(self.rows, self.schema))
        self.rows = []

    def keep(self) -> None:
        if self.rows:
            self._write()
        self.writer.close()
        self.partial.replace(self.done)

    def drop(self) -> None:
        """Removes what is not kept."""
        self.writer.close()
        self.partial.unlink(missing_ok=True)


class Analyzer:
    """A worker of Ray Data."""

    def __init__(self, command: list[str], out: str, patience: float, most_bytes: int):
        self.command = command
        self.out = Path(out)
        self.patience = patience
        self.most_bytes = most_bytes
        self.process: Process | None = None
        sweep_copies()

    def __call__(self, batch: dict) -> dict:
        results = [self.analyze(str(video)) for video in batch["video"]]
        return {
            name: [result[name] for result in results]
            for name in ("video", "frames", "rows", "error")
        }

    def analyze(self, video: str) -> dict:
        done = self.out / name_of(video)
        # Another attempt at the same block may have got this far.
        if done.exists():
            return {"video": video, "frames": 0, "rows": pq.read_metadata(done).num_rows, "error": ""}
        try:
            with at_hand(video, self.most_bytes, self.patience) as path:
                return {"video": video, **self.try_often(video, path)}
        except NotFetched as error:
            return {"video": video, "frames": 0, "rows": 0, "error": str(error)}

    def try_often(self, video: str, path: str) -> dict:
        error = ""
        for _ in range(ATTEMPTS):
            self.process = self.process or Process(self.command, self.patience)
            try:
                return self.write(video, path)
            except Died as died:
                error = f"affectlens: {died}"
                self.process.close()
                self.process = None
        return {"frames": 0, "rows": 0, "error": error}

    def write(self, video: str, path: str) -> dict:
        name = name_of(video)
        partial = self.out / PARTIAL / f"{name}.{uuid.uuid4().hex}"
        faces = Table(partial, self.out / name, SCHEMA)
        tables = [faces]
        try:
            for report in self.process.ask(path):
                if report.get("ended"):
                    break
                faces.add(rows_of(report, video))
                if "people" in report:
                    if len(tables) == 1:
                        beside = partial.with_name(f"{partial.name}-{PEOPLE}")
                        tables.append(Table(beside, self.out / PEOPLE / name, PEOPLE_SCHEMA))
                    tables[1].add(people_of(report, video))
            # `ask` gives that line last, or raises.
            error = report.get("error", "")
            if not error:
                # That of the faces last: where it is, the video is done.
                for table in reversed(tables):
                    table.keep()
            return {"frames": report["frames"], "rows": faces.count, "error": error}
        finally:
            for table in tables:
                table.drop()


def is_address(video: str) -> bool:
    return "://" in video


@contextmanager
def at_hand(video: str, most_bytes: int, patience: float) -> Iterator[str]:
    """A path for the program: the video itself, or a copy of what lies at an address, which is gone afterwards."""
    if not is_address(video):
        yield video
        return
    with tempfile.TemporaryDirectory(prefix=f"{COPIES}{os.getpid()}-") as folder:
        copy = Path(folder) / f"video{PurePosixPath(video).suffix}"
        fetch(video, copy, most_bytes, patience)
        yield str(copy)


def fetch(video: str, copy: Path, most_bytes: int, patience: float) -> None:
    """Copies a video of a bucket; not more bytes than `most_bytes`, and no longer than `patience` seconds without any."""
    state = {"bytes": 0, "error": None, "is_over": False}

    def take() -> None:
        try:
            with fsspec.open(video, "rb") as source, copy.open("wb") as target:
                while (piece := source.read(PIECE)) and not state["is_over"]:
                    state["bytes"] += len(piece)
                    if state["bytes"] > most_bytes:
                        raise NotFetched(f"it has more than {most_bytes / 2**30:.3g} GiB (see --most-gib)")
                    target.write(piece)
        except Exception as error:  # noqa: BLE001: each file system has errors of its own
            state["error"] = error

    taking = threading.Thread(target=take, daemon=True)
    taking.start()
    seen, since = 0, time.monotonic()
    while taking.is_alive():
        taking.join(timeout=min(1, patience))
        if state["bytes"] > seen:
            seen, since = state["bytes"], time.monotonic()
        elif taking.is_alive() and time.monotonic() - since > patience:
            state["is_over"] = True
            raise NotFetched(f"it cannot be fetched: nothing came for {patience:.0f} s")
    if isinstance(state["error"], NotFetched):
        raise state["error"]
    if state["error"] is not None:
        error = state["error"]
        raise NotFetched(f"it cannot be fetched: {type(error).__name__}: {error}") from error


def sweep_copies() -> None:
    """Removes the copies that workers of this machine left which were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{COPIES}*-*"):
        owner = folder.name.removeprefix(COPIES).split("-")[0]
        if owner.isdigit() and not is_running(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # Somebody else's.
        return True
    return True


def name_of(video: str) -> str:
    """The Parquet file of a video: readable, and of no other video."""
    digest = hashlib.sha256(os.fsencode(video)).hexdigest()[:16]
    return f"{Path(video).stem[:80]}-{digest}.parquet"


def videos_in(source: str) -> list[str]:
    """The videos in a folder or bucket and its folders, or those that a file lists, a line each."""
    if is_address(source):
        filesystem, path = fsspec.core.url_to_fs(source)
        if filesystem.isdir(path):
            found = (each for each in filesystem.find(path) if PurePosixPath(each).suffix.lower() in ENDINGS)
            return [filesystem.unstrip_protocol(each) for each in found]
    elif Path(source).is_dir():
        found = (path for path in Path(source).rglob("*") if path.suffix.lower() in ENDINGS)
        return [str(path.absolute()) for path in found if path.is_file()]
    with fsspec.open(source if is_address(source) else str(Path(source).absolute()), "rb") as file:
        text = file.read(MOST_OF_LIST + 1)
    if len(text) > MOST_OF_LIST:
        raise SystemExit(f"{source}: a list has {MOST_OF_LIST >> 20} MiB at most")
    lines = (line for line in os.fsdecode(text).splitlines() if line.strip())
    return [line if is_address(line) else str(Path(line).absolute()) for line in lines]


def sweep(out: Path, videos: list[str]) -> None:
    """Removes what workers that were killed had begun of these videos; those of other runs are left alone."""
    names = {name_of(video) for video in videos}
    for partial in (out / PARTIAL).iterdir():
        if partial.stem in names:
            partial.unlink(missing_ok=True)


def share(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError("expected NUMBER/COUNT with a number from 1 on, like 3/64")
    return int(number), int(count)


def read_arguments(arguments: list[str]) -> argparse.Namespace:
    # What follows `--` is the program's.
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", help="folder or bucket of videos, or a file that lists paths and addresses, a line each")
    parser.add_argument("out", type=Path, help="folder for the Parquet files")
    parser.add_argument("--workers", type=int, default=1, help="processes that analyse at once")
    parser.add_argument("--cpus", type=float, default=1, help="cores that Ray keeps for each")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs that Ray keeps for each, 0.25 for four on one")
    parser.add_argument("--shard", type=share, default=(1, 1), help="take one share of the sorted list, as `affectlens analyze` does")
    parser.add_argument("--patience", type=float, default=600, help="seconds without a report after which a process is ended")
    parser.add_argument("--most-gib", type=float, default=16, help="largest video that is fetched from a bucket")
    parser.add_argument("--affectlens", default="affectlens", help="the program")
    options = parser.parse_args(arguments[:cut])
    options.rest = arguments[cut + 1 :]
    return options


def main(arguments: list[str]) -> int:
    options = read_arguments(arguments)
    number, count = options.shard
    videos = sorted(set(videos_in(options.videos)))[number - 1 :: count]
    for folder in (PARTIAL, PEOPLE):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    left = [video for video in videos if not (options.out / name_of(video)).exists()]
    print(f"{len(videos)} videos, {len(videos) - len(left)} of them done", flush=True)
    sweep(options.out, left)
    if not left:
        return 0

    import ray

    command = [options.affectlens, "analyze", "-", "--follow", *options.rest]
    dataset = ray.data.from_items(
        [{"video": video} for video in left],
        # Small enough that workers share evenly, and that little is looked at again after one was lost.
        override_num_blocks=min(len(left), 16 * options.workers),
    ).map_batches(
        Analyzer,
        batch_size=1,
        fn_constructor_kwargs={
            "command": command,
            "out": str(options.out.absolute()),
            "patience": options.patience,
            "most_bytes": int(options.most_gib * 2**30),
        },
        compute=ray.data.ActorPoolStrategy(size=options.workers),
        num_cpus=options.cpus,
        num_gpus=options.gpus,
    )
    # Ray Data starts a lost worker anew and does its block again; what was done of it is found done.
    failed = 0
    for result in dataset.iter_rows():
        if result["error"]:
            failed += 1
            print(f"failed: {result['video']}: {result['error']}", file=sys.stderr, flush=True)
        else:
            print(f"done: {result['video']}: {result['rows']} rows", flush=True)
    sweep(options.out, left)
    print(f"{len(left) - failed} done, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
