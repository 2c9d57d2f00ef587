"""Measure `predict --json-lines -` over thousands of tasks; run by name.

    python -m tests.benchmarks.decisions.coprocess           one PNG at a time, over 2500 tasks
    python -m tests.benchmarks.decisions.coprocess --flat    memory while a million are answered

Twenty permutations are learned, and their test images are asked about. The other tasks are random
masks of the same shape; their signatures are a learned one's with its features in another order. So
answers are known, and a decision meets as many tasks as in a bank that took an hour to learn.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from bank_format.bank import Bank
from bank_format.index.writing import update_index
from bank_format.kinds.gaussians import GAUSSIANS, read_gaussians, store_gaussians
from bank_format.kinds.mask import build_task
from bank_format.kinds.task_records import DataRecord, SignatureRecord
from bank_format.store.layout import MASKS, SUFFIX
from supsup_cli.data import catalog
from tests.benchmarks.made.timing import machine, row
from tests.support import banks

LEARNED, FILES = 20, 10_000
FLAT = (10_000, 100_000, 300_000, 1_000_000)


def main() -> None:
    """Make the bank and the images, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=2500)
    parser.add_argument("--asked", type=int, default=6000)
    parser.add_argument("--flat", action="store_true")
    parser.add_argument("--folder", type=Path, help="where bank and images are, or will be")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        bank, images = made_bank(folder / "bank", options.tasks), made_images(folder / "images")
        print(f"{machine()}; {options.tasks} tasks\n")
        if options.flat:
            flat(bank, images)
        else:
            one_at_a_time(bank, images, options.asked)


def made_bank(path: Path, tasks: int) -> Path:
    """Make the bank where it is not there."""
    if not path.exists():
        for words in (
            ("init-base",),
            ("learn-task", "--recipe", "fast", "--data", f"mnist-perm-0..{LEARNED - 1}"),
        ):
            supsup = [sys.executable, "-m", "supsup_cli", *words, "--bank", str(path), "--quiet"]
            subprocess.run(supsup, check=True, stdout=subprocess.DEVNULL)
    bank = Bank.open(path)
    learned = bank.read_task("mnist-perm-0")
    known = read_gaussians(learned.arrays, learned.arrays["signature/means"].shape[1])
    for task in range(len(bank.tasks()), tasks):
        random, name = np.random.default_rng(task), f"random-{task}"
        order = random.permutation(known.means.shape[1])
        signature = replace(
            known, means=known.means[:, order], directions=known.directions[:, :, order]
        )
        facts = banks.facts(
            name,
            classes=learned.content.classes,
            data=DataRecord(name, f"{task:064x}"),
            parents=(),
            signature=SignatureRecord(GAUSSIANS, 1000),
        )
        masks = {
            one.name: random.integers(0, 256, (one.count + 7) // 8, dtype=np.uint8)
            for one in bank.record.masked
        }
        arrays = store_gaussians(signature)
        written = build_task(bank.record, facts, masks, {}, banks.PROVENANCE, arrays)
        (path / MASKS / f"{name}{SUFFIX}").write_bytes(written)
    update_index(bank)
    return path


def made_images(folder: Path) -> list[tuple[str, str]]:
    """Write test images of the learned tasks as PNG where they are not: path and task of each."""
    folder.mkdir(exist_ok=True)
    asked = []
    for task in range(LEARNED):
        name = f"mnist-perm-{task}"
        test = catalog.load_test(name, (1, 28, 28)).test.images[: FILES // LEARNED]
        for place, pixels in enumerate(test):
            path = folder / f"{name}-{place}.png"
            if not path.exists():
                Image.fromarray(pixels.reshape(28, 28)).save(path)
            asked.append((str(path), name))
    return [asked[place] for place in np.random.default_rng(0).permutation(len(asked))]


def started(bank: Path) -> subprocess.Popen[str]:
    """Start the program that stays."""
    words = [
        sys.executable,
        "-m",
        "supsup_cli",
        "predict",
        "--json-lines",
        "--bank",
        str(bank),
        "-",
    ]
    return subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )


def one_at_a_time(bank: Path, images: list[tuple[str, str]], count: int) -> None:
    """Ask about one image, wait for its answer, and ask about the next."""
    process, seconds, right = started(bank), [], 0
    assert process.stdin is not None
    assert process.stdout is not None
    for path, task in images[:count]:
        began = time.perf_counter()
        process.stdin.write(path + "\n")
        answer = json.loads(process.stdout.readline())
        seconds.append(time.perf_counter() - began)
        right += answer["task"] == task
    process.stdin.close()
    if process.wait() or right < 0.9 * count:
        raise SystemExit(f"{right} of {count} tasks right, exit {process.returncode}")
    print(f"the first answer after {seconds[0]:.1f} s; the right task in {right / count:.2%}\n")
    print(row("images", "answers a second", "half within", "95 % within"))
    print(row("---:", *["---:"] * 3))
    # A task is read when it first competes, so that answers come faster and faster.
    third = count // 3
    for first, end in ((0, third), (third, 2 * third), (2 * third, count), (0, count)):
        part = np.array(seconds[max(1, first) : end])
        times = (f"{np.quantile(part, share) * 1000:.1f} ms" for share in (0.5, 0.95))
        print(row(f"{first + 1} to {end}", f"{1 / part.mean():.0f}", *times))


def flat(bank: Path, images: list[tuple[str, str]]) -> None:
    """Ask about a million images without waiting, and look at the memory on the way."""
    process = started(bank)
    assert process.stdin is not None
    assert process.stdout is not None
    stdin = process.stdin

    def ask() -> None:
        for path in _repeated(images):
            stdin.write(path + "\n")
        stdin.close()

    threading.Thread(target=ask, daemon=True).start()
    print(row("inputs", "memory, MB", "inputs a second"))
    print(row("---:", "---:", "---:"))
    process.stdout.readline()
    began = time.perf_counter()
    for count in range(2, FLAT[-1] + 1):
        answer = process.stdout.readline()
        if count in FLAT:
            assert json.loads(answer)["error"] is None
            rate = count / (time.perf_counter() - began)
            print(row(f"{count:,}", f"{_resident(process.pid):.0f}", f"{rate:.0f}"), flush=True)
    if process.wait():
        raise SystemExit(f"exit {process.returncode}")


def _repeated(images: list[tuple[str, str]]) -> Iterator[str]:
    for place in range(FLAT[-1]):
        yield images[place % len(images)][0]


def _resident(process: int) -> float:
    """Read a process's memory, MB."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


if __name__ == "__main__":
    main()
