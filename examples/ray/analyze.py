"""Analyses many videos with Ray Data: one row a face and frame, in a Parquet file a video.

    python analyze.py VIDEOS OUT [--workers 4] [--shard 3/64] [-- OPTIONS OF affectlens analyze]

Each worker keeps one `affectlens analyze - --follow`, so that weights are loaded once. A video whose file is in OUT is done: a
run that was stopped goes on where it was. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ENDINGS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".ts", ".webm"}
# Of a Parquet file; no more rows than that are in memory.
ROWS_OF_GROUP = 10_000
# A process that died is started anew this often for the same video: it may have been killed for another reason.
ATTEMPTS = 2
# Files of videos that are not done; their names end in something random.
PARTIAL = ".partial"

SCORES = pa.map_(pa.string(), pa.float32())
SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("frame", pa.int64()),
        ("time_ms", pa.float64()),
        # Null where no face is in the frame.
        ("id", pa.int64()),
        ("x", pa.float32()),
        ("y", pa.float32()),
        ("width", pa.float32()),
        ("height", pa.float32()),
        ("score", pa.float32()),
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


class Died(Exception):
    """The process of a worker ended, or said nothing for too long."""


def rows_of(report: dict) -> Iterator[dict]:
    """The rows of a frame: one a face, and one without a face where there is none."""
    violence = report.get("violence", {})
    frame = {
        "file": report["file"],
        "frame": report["frame"],
        "time_ms": report["time_ms"],
        "violence_probability": violence.get("probability"),
        "violent": violence.get("violent"),
    }
    for face in report["faces"] or [None]:
        if face is None:
            yield frame
            continue
        expression = face.get("expression", {})
        x, y, width, height = face["box"]
        yield {
            **frame,
            "id": face["id"],
            **{"x": x, "y": y, "width": width, "height": height},
            "score": face["score"],
            "label": expression.get("label"),
            "confidence": expression.get("confidence"),
            "source": expression.get("source"),
            "probabilities": expression.get("probabilities"),
            "valence": face.get("valence"),
            "arousal": face.get("arousal"),
            "action_units": face.get("action_units"),
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


class Analyzer:
    """A worker of Ray Data."""

    def __init__(self, command: list[str], out: str, patience: float):
        self.command = command
        self.out = Path(out)
        self.patience = patience
        self.process: Process | None = None

    def __call__(self, batch: dict) -> dict:
        results = [self.analyze(str(path)) for path in batch["path"]]
        return {
            name: [result[name] for result in results]
            for name in ("path", "frames", "rows", "error")
        }

    def analyze(self, path: str) -> dict:
        done = self.out / name_of(path)
        # Another attempt at the same block may have got this far.
        if done.exists():
            return {"path": path, "frames": 0, "rows": pq.read_metadata(done).num_rows, "error": ""}
        error = ""
        for _ in range(ATTEMPTS):
            self.process = self.process or Process(self.command, self.patience)
            try:
                return {"path": path, **self.write(path, done)}
            except Died as died:
                error = f"affectlens: {died}"
                self.process.close()
                self.process = None
        return {"path": path, "frames": 0, "rows": 0, "error": error}

    def write(self, path: str, done: Path) -> dict:
        """Writes a file beside and renames it: there is a whole one, or none."""
        partial = self.out / PARTIAL / f"{done.name}.{uuid.uuid4().hex}"
        rows: list[dict] = []
        count = 0
        try:
            with pq.ParquetWriter(partial, SCHEMA) as writer:
                for report in self.process.ask(path):
                    if report.get("ended"):
                        end = report
                        break
                    rows.extend(rows_of(report))
                    if len(rows) >= ROWS_OF_GROUP:
                        count += len(rows)
                        writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
                        rows = []
                count += len(rows)
                if rows:
                    writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
            error = end.get("error", "")
            if not error:
                partial.replace(done)
            return {"frames": end["frames"], "rows": count, "error": error}
        finally:
            partial.unlink(missing_ok=True)


def name_of(path: str) -> str:
    """The Parquet file of a video: readable, and of no other video."""
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return f"{Path(path).stem[:80]}-{digest}.parquet"


def videos_in(source: Path) -> list[str]:
    """The videos in a folder and its folders, or those that a file lists, a line each."""
    if source.is_dir():
        found = (path for path in source.rglob("*") if path.suffix.lower() in ENDINGS)
        return [str(path.absolute()) for path in found if path.is_file()]
    lines = source.read_text().splitlines()
    return [str(Path(line).absolute()) for line in lines if line.strip()]


def sweep(out: Path, videos: list[str]) -> None:
    """Removes what workers that were killed had begun of these videos; those of other runs are left alone."""
    names = {name_of(path) for path in videos}
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
    parser.add_argument("videos", type=Path, help="folder of videos, or a file that lists them, a line each")
    parser.add_argument("out", type=Path, help="folder for the Parquet files")
    parser.add_argument("--workers", type=int, default=1, help="processes that analyse at once")
    parser.add_argument("--cpus", type=float, default=1, help="cores that Ray keeps for each")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs that Ray keeps for each, 0.25 for four on one")
    parser.add_argument("--shard", type=share, default=(1, 1), help="take one share of the sorted list, as `affectlens analyze` does")
    parser.add_argument("--patience", type=float, default=600, help="seconds without a report after which a process is ended")
    parser.add_argument("--affectlens", default="affectlens", help="the program")
    options = parser.parse_args(arguments[:cut])
    options.rest = arguments[cut + 1 :]
    return options


def main(arguments: list[str]) -> int:
    options = read_arguments(arguments)
    number, count = options.shard
    videos = sorted(set(videos_in(options.videos)))[number - 1 :: count]
    (options.out / PARTIAL).mkdir(parents=True, exist_ok=True)
    left = [path for path in videos if not (options.out / name_of(path)).exists()]
    print(f"{len(videos)} videos, {len(videos) - len(left)} of them done", flush=True)
    sweep(options.out, left)
    if not left:
        return 0

    import ray

    command = [options.affectlens, "analyze", "-", "--follow", *options.rest]
    dataset = ray.data.from_items(
        [{"path": path} for path in left],
        # Small enough that workers share evenly, and that little is looked at again after one was lost.
        override_num_blocks=min(len(left), 16 * options.workers),
    ).map_batches(
        Analyzer,
        batch_size=1,
        fn_constructor_kwargs={"command": command, "out": str(options.out.absolute()), "patience": options.patience},
        compute=ray.data.ActorPoolStrategy(size=options.workers),
        num_cpus=options.cpus,
        num_gpus=options.gpus,
    )
    # Ray Data starts a lost worker anew and does its block again; what was done of it is found done.
    failed = 0
    for result in dataset.iter_rows():
        if result["error"]:
            failed += 1
            print(f"failed: {result['path']}: {result['error']}", file=sys.stderr, flush=True)
        else:
            print(f"done: {result['path']}: {result['rows']} rows", flush=True)
    sweep(options.out, left)
    print(f"{len(left) - failed} done, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
