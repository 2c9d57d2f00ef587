"""Measure opening, naming and listing of 10 to 100,000 tasks, by index and by files; run by name.

    python -m tests.benchmarks.decisions.index --plot tests/benchmarks/index.png

Every measurement has its own process. Naming is what `infer-task` does for one image: open the
bank, decide, answer. Its time begins when torch and the workflows are imported, and its memory is
what is added to theirs. `tasks` and `stats` are whole commands. The files of a copy have other
times, so the last 32 bytes of each file are read. The bank of 100,000 tasks takes 1.9 GB and some
minutes to make.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bank_format.bank import Bank
from bank_format.index.writing import update_index
from bank_format.store.layout import MASKS
from tests.benchmarks.made import signed_bank
from tests.benchmarks.made.timing import machine, row

SIZES = (10, 100, 1000, 2500, 10_000, 30_000, 100_000)
COLUMNS = {
    "named": "naming one image, index, s",
    "memory": "its memory, MB",
    "copied": "the same of a copy, s",
    "files": "without index, s",
    "tasks": "`tasks`, s",
    "stats": "`stats`, s",
    "written": "writing the index, s",
    "bytes": "index, bytes a task",
}
_MOST_WITHOUT = 10_000  # the most tasks for which reading all files is measured
SCRIPT = """
import io, json, sys, time
from pathlib import Path
import torch
from supsup_cli.workflows.inference.infer_task import infer_task
from supsup_cli.workflows.inference.inputs import InputRequest
from supsup_cli.workflows.inference.rules import DecisionRequest
from supsup_cli.workflows.reporting import Silent

def memory(what):
    return int(Path("/proc/self/status").read_text().partition(what)[2].split()[0]) / 1024

before, began = memory("VmRSS:"), time.perf_counter()
inputs = InputRequest((sys.argv[2],), io.StringIO(), (), None, 0)
decision = DecisionRequest("auto", None, "image", "cpu")
(found,) = infer_task(Path(sys.argv[1]), inputs, decision, 64, Silent()).results
print(json.dumps([time.perf_counter() - began, memory("VmHWM:") - before, dict(found.scores)]))
"""


def main() -> None:
    """Measure each size, print a table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the bank is, or will be")
    parser.add_argument("--reuse", action="store_true", help="keep an index that is there")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        measured = {
            size: measure(folder, size, options.runs, reuse=options.reuse)
            for size in sorted(options.sizes)
        }
    print(f"{machine()}\n")
    print(row("tasks", *COLUMNS.values()))
    print(row("---:", *["---:"] * len(COLUMNS)))
    for size, found in measured.items():
        cells = (found[name] for name in COLUMNS)
        print(row(f"{size:,}", *("" if cell is None else f"{cell:.3g}" for cell in cells)))
    if options.plot:
        with options.plot.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["tasks", *COLUMNS])
            writer.writerows([size, *found.values()] for size, found in measured.items())
        draw(measured, options.plot)


def measure(folder: Path, size: int, runs: int, *, reuse: bool) -> dict[str, float | None]:
    """Measure a bank of the given number of tasks; make the bank if it is missing.

    To `reuse` an index leaves out what is measured without one, and how long writing takes.
    """
    path = folder / f"bank-{size}"
    bank = signed_bank.create(path)
    there = len(bank.tasks())
    signed_bank.add_tasks(bank, there, size)
    image = folder / "image.png"
    signed_bank.write_image(size // 2, image)
    files, written = None, None
    if not (reuse and any(path.glob("index-*"))):
        for old in path.glob("index-*"):
            old.unlink()
        if size <= _MOST_WITHOUT:
            files = named(path, image, size, 1)[0]
        began = time.perf_counter()
        update_index(Bank.open(path))
        written = time.perf_counter() - began
    found, memory = named(path, image, size, runs)
    tasks, stats = (command(word, path, runs) for word in ("tasks", "stats"))
    times = {one: one.stat() for one in (path / MASKS).iterdir()}
    for one, was in times.items():
        os.utime(one, ns=(was.st_atime_ns, was.st_mtime_ns + 1))
    copied = named(path, image, size, runs)[0]
    for one, was in times.items():  # for a later run with the same index
        os.utime(one, ns=(was.st_atime_ns, was.st_mtime_ns))
    stored = sum(one.stat().st_size for one in path.glob("index-*")) / size
    return dict(
        zip(COLUMNS, (found, memory, copied, files, tasks, stats, written, stored), strict=True)
    )


def named(path: Path, image: Path, size: int, runs: int) -> tuple[float, float]:
    """Time naming one image, median in seconds, and return its memory in MB."""
    seconds, memory = [], 0.0
    for _ in range(runs):
        words = [sys.executable, "-c", SCRIPT, str(path), str(image)]
        ran = subprocess.run(words, check=True, capture_output=True, text=True)
        took, memory, listed = json.loads(ran.stdout)
        # Masks are random, and so is what they say of an image: the list is what can be checked.
        if signed_bank.name_of(size // 2) not in listed:
            raise SystemExit(f"{[*listed]} listed, expected {signed_bank.name_of(size // 2)}")
        seconds.append(took)
    return statistics.median(seconds), memory


def command(word: str, path: Path, runs: int) -> float:
    """Time a whole command that prints a document: median in seconds."""
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        words = [sys.executable, "-m", "supsup_cli", word, "--bank", str(path), "--json"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def draw(measured: dict[int, dict[str, float | None]], path: Path) -> None:
    """Draw each time against the number of tasks."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    for name in ("files", "copied", "named", "tasks", "stats"):
        points = [(size, found[name]) for size, found in measured.items() if found[name]]
        axes.loglog(
            *zip(*points, strict=True),
            marker="o",
            label=COLUMNS[name].removesuffix(", s").strip("`"),
        )
    axes.set_xlabel("tasks")
    axes.set_ylabel("seconds")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
