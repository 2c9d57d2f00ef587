"""Run ResNet-50 at 224 x 224 through a bank, and count the bytes of its sparse masks; run by name.

    python tests/benchmarks/storage/resnet50.py [--steps 3] [--batch-size 16]

Learns a task of 48 images of noise at each density of the paper's, predicts 6 of them, and prints
seconds and the peak memory of the process. For each density it prints the weights kept, the coded
bytes with the entropy of the mask's own layer densities, Σ n H(d) / 8, and the bytes of 100 such
files with those that the paper states for SplitImageNet. What the masks have learned does not
matter here: the number of weights they keep decides how many bytes they take.
"""

import argparse
import math
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
from PIL import Image

from bank_format.bank import Bank
from bank_format.encoding.bits import count_ones
from bank_format.encoding.codec import stored_bytes
from supsup_cli.workflows.bank.init_base import init_base
from supsup_cli.workflows.bank.requests import BaseRequest
from supsup_cli.workflows.inference.inputs import InputRequest
from supsup_cli.workflows.inference.predict import predict
from supsup_cli.workflows.inference.rules import DecisionRequest
from supsup_cli.workflows.learning.learn_task import learn_task
from supsup_cli.workflows.learning.plan import LearnRequest
from supsup_cli.workflows.reporting import Silent

# Wortsman et al. 2020, section 4.2: bytes of all 100 tasks.
PAPER = {"er:4": 65.50e6, "er:8": 100.98e6, "er:16": 195.18e6}
SHAPE = (3, 224, 224)
Answer = TypeVar("Answer")


def main() -> None:
    """Print seconds and memory, then the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        path, data = Path(folder) / "bank", noise(Path(folder) / "noise")
        request = BaseRequest("resnet50", SHAPE, 10, 10, 0, "signed-constant")
        made = timed("init-base", lambda: init_base(path, request))
        print(f"base: {made.parameters:,} weights, {made.bytes:,} bytes")
        for density in PAPER:
            asked = LearnRequest(
                data=[str(data)],
                name=name_of(density),
                recipe="paper",
                steps=options.steps,
                batch_size=options.batch_size,
                seed=0,
                device="cpu",
                density=density,
            )
            what = f"learn-task {density}, {options.steps} steps of {options.batch_size}"
            timed(what, lambda asked=asked: learn_task(path, asked, Silent()))
        inputs = InputRequest([str(data / "test")], sys.stdin, (), None, 0)
        decision = DecisionRequest("auto", None, "image", "cpu")
        timed(
            f"predict 6 images, {len(PAPER)} tasks",
            lambda: predict(path, inputs, decision, None, Silent()),
        )
        print_table(Bank.open(path))


def noise(folder: Path) -> Path:
    """Write two classes of noise: 24 training images and 3 test images of each."""
    stream = np.random.RandomState(0)
    for name, brightness in (("dark", 0), ("bright", 100)):
        for split, count in (("train", 24), ("test", 3)):
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = stream.randint(0, 150, SHAPE[1:] + SHAPE[:1]) + brightness
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number:02d}.png")
    return folder


def name_of(density: str) -> str:
    return density.replace(":", "-")


def timed(what: str, work: Callable[[], Answer]) -> Answer:
    """Run it, and print its seconds and the most memory of the process so far."""
    began = time.perf_counter()
    answer = work()
    seconds = time.perf_counter() - began
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what}: {seconds:.1f} s, at most {resident:.2f} GiB so far", flush=True)
    return answer


def print_table(bank: Bank) -> None:
    """Print the weights kept, the bytes, and those of 100 tasks."""
    print("density  kept       share   bound      coded      ratio  file       100 files  paper")
    for density, stated in PAPER.items():
        task = bank.read_task(name_of(density))
        kept = coded = weights = 0
        bound = 0.0
        for one in bank.record.masked:
            ones = count_ones(task.masks[one.name])
            kept, weights = kept + ones, weights + one.count
            bound += one.count * entropy_bits(ones / one.count) / 8
            encoding = task.content.encoding[one.name]
            coded += stored_bytes(encoding, task.masks[one.name], one.count)
        print(
            f"{density:<7}  {kept:<9,}  {kept / weights:5.2%}  {bound:<9,.0f}  {coded:<9,}  "
            f"{coded / bound:.3f}  {task.bytes_on_disk:<9,}  {task.bytes_on_disk / 1e4:5.1f} MB"
            f"   {stated / 1e6:6.2f} MB"
        )
    statistics = sum(one.nbytes for one in task.statistics.values())
    print(f"statistics: {statistics:,} bytes of each file")


def entropy_bits(share: float) -> float:
    """Return the entropy of the bit of one weight."""
    return -share * math.log2(share) - (1 - share) * math.log2(1 - share)


if __name__ == "__main__":
    main()
