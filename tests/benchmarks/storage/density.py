"""Measure accuracy and bytes of sparse masks, and of dense nets of the same bytes; run by name.

    python tests/benchmarks/storage/density.py --plot density.png

PermutedMNIST, LeNet 300-100 with 500 outputs, recipe `default`, 1000 steps of 128. Bytes are those
of the coded masks; the bound is the entropy of the mask's own layer densities, Σ n H(d) / 8. The
rival is a float32 net 784-h-10 that takes as many bytes, h at least 1, trained by the same
optimiser for as many steps.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch.nn import functional as F

from bank_format.bank import Bank
from bank_format.encoding.bits import unpack
from bank_format.encoding.codec import encode
from bank_format.kinds.mask import Task
from supsup_cli.core.images import Pixels
from supsup_cli.core.learning.batches.batch_order import BatchOrder
from supsup_cli.core.networks.specs import MultilayerPerceptron
from supsup_cli.core.seeds import generator
from supsup_cli.data import catalog
from supsup_cli.workflows.bank.init_base import init_base
from supsup_cli.workflows.bank.requests import BaseRequest
from supsup_cli.workflows.learning.learn_task import learn_task
from supsup_cli.workflows.learning.plan import LearnRequest, chosen_recipe
from supsup_cli.workflows.reporting import Silent

DENSITIES = ("er:1", "er:2", "er:4", "er:8", "er:16", "er:32", None)
SHAPE = (1, 28, 28)


@dataclass(frozen=True)
class Row:
    """One density: means over tasks; bytes of a coded mask, of its bound and of its file."""

    name: str
    share: float
    accuracy: float
    coded: float
    bound: float
    file: float
    hidden: int
    rival: float


def main() -> None:
    """Print a table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    print("density    kept      accuracy  coded      bound      ratio   file       784-h-10")
    rows = []
    with TemporaryDirectory() as folder:
        for density in DENSITIES:
            bank = Path(folder) / str(density)
            row = _measure(bank, density, options.tasks, options.steps)
            rows.append(row)
            print(
                f"{row.name:9} {100 * row.share:6.2f} %  {100 * row.accuracy:7.2f} %  "
                f"{row.coded:7.0f} B  {row.bound:7.0f} B  {row.coded / row.bound:.3f}   "
                f"{row.file:7.0f} B  h = {row.hidden}: {100 * row.rival:.2f} %",
                flush=True,
            )
    if options.plot:
        _draw(rows, options.plot)


def _measure(path: Path, density: str | None, tasks: int, steps: int) -> Row:
    init_base(path, BaseRequest("lenet-300-100", SHAPE, 500, 10, 0, "signed-constant"))
    names = [f"mnist-perm-{number}" for number in range(tasks)]
    request = LearnRequest(names, None, "default", steps, None, 0, "cpu", density)
    learned = learn_task(path, request, Silent())
    bank = Bank.open(path)
    found = [bank.read_task(name) for name in names]
    sizes = np.array([_sizes(bank, task) for task in found]).mean(0)
    hidden = max(1, int(sizes[0]) // (4 * (784 + 10)))
    rivals = [_rival(name, hidden, request) for name in names]
    return Row(
        density or "threshold",
        float(np.mean([task.density for task in found])),
        float(np.mean([one.accuracy or 0 for one in learned.tasks])),
        *sizes.tolist(),
        float(np.mean([task.bytes_on_disk for task in found])),
        hidden,
        float(np.mean(rivals)),
    )


def _sizes(bank: Bank, task: Task) -> tuple[float, float]:
    """Return the bytes of a task's coded masks, and of their entropy."""
    coded = bound = 0.0
    for one in bank.record.masked:
        bits = unpack(task.masks[one.name], one.count)
        coded += encode(bits)[1].size
        shares = np.array([bits.mean(), 1 - bits.mean()])
        bound -= one.count * float((shares * np.log2(np.maximum(shares, 1e-12))).sum()) / 8
    return coded, bound


def _rival(name: str, hidden: int, request: LearnRequest) -> float:
    """Train a dense net and return its test accuracy."""
    data = catalog.load(name, SHAPE)
    pixels = Pixels(torch.full((1, 1, 1), 0.1307), torch.full((1, 1, 1), 0.3081))
    images, labels, test, true = (
        torch.from_numpy(array.copy())
        for array in (data.train.images, data.train.labels, data.test.images, data.test.labels)
    )
    torch.manual_seed(0)
    network = MultilayerPerceptron((784, hidden, 10))
    recipe = chosen_recipe(request, "perceptron")
    rule = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(rule, max_lr=1e-2, total_steps=recipe.steps)
    order = BatchOrder(len(images), recipe.batch_size, generator(0, "batches", name))
    for _ in range(recipe.steps):
        picked = order.next_batch()
        rule.zero_grad()
        F.cross_entropy(network(pixels(images[picked])), labels[picked]).backward()
        rule.step()
        schedule.step()
    with torch.no_grad():
        return float((network(pixels(test)).argmax(1) == true).float().mean())


def _draw(rows: list[Row], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="bytes of a task", ylabel="test accuracy", xscale="log")
    coded = [row.coded for row in rows]
    axes.plot(coded, [row.accuracy for row in rows], "o-", label="mask over the frozen network")
    axes.plot(coded, [row.rival for row in rows], "x--", label="dense float32 net 784-h-10")
    for row in rows:
        axes.annotate(row.name, (row.coded, row.accuracy), (3, 5), textcoords="offset points")
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
