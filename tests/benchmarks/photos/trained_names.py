"""Naming photos over a trained network: signatures and methods that know all classes at once.

    python -m tests.benchmarks.photos.trained_names BANK TASK [TASK …] [--keep FILE] [--ranpac 5000]

Each TASK is a folder with train/CLASS and test/CLASS that the bank has learned. All methods get the
same features from one pass of the frozen network: nearest class mean (Rebuffi et al. 2017), LDA
with a full shared covariance, and RanPAC (McDonnell et al. 2023), which is ridge regression on
random ReLU features. They keep every class's statistics in one place; a signature takes 27 KiB in a
task's file. The last lines compare images a second on one thread with those of the plain network.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from supsup_cli.core.signatures.features import roots
from supsup_cli.data import catalog
from supsup_cli.workflows.inference.accuracy import HeldOutTask, measure
from supsup_cli.workflows.inference.decisions import decide
from supsup_cli.workflows.inference.rules import DecisionRequest, choose_rule
from supsup_cli.workflows.labelled import lower_values
from supsup_cli.workflows.opening import OpenNetwork, open_tasks
from supsup_cli.workflows.reporting import Silent
from tests.benchmarks.made.timing import machine, row
from tests.benchmarks.photos.trained_base import plain_network

_RIDGES = (1e3, 1e4, 1e5, 1e6, 1e7)
_SHRINKAGE = 0.1  # of a covariance, shrunk towards the mean variance
_HELD_OUT = 10  # every tenth training image chooses the ridge
_TIMED = 256


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path)
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--keep", type=Path, help="a file for the features, read if it is there")
    parser.add_argument("--ranpac", type=int, default=0, help="random features of RanPAC")
    parser.add_argument("--methods", nargs="*", default=["signature", "auto"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    opened = open_tasks(options.bank, "cpu")
    shape = opened.net.bank.record.input.shape
    if options.keep is not None and options.keep.exists():
        found = load_file(options.keep)
    else:
        found = gathered(opened.net, options.tasks, shape)
        if options.keep is not None:
            save_file(found, options.keep)
    print(f"{machine()}; {len(options.tasks)} tasks, input {shape}\n")
    print_rivals(found, found["owners"], options.ranpac)
    held_out = [
        HeldOutTask(opened.names.index(Path(one).name), catalog.load_test(one, shape).test)
        for one in options.tasks
    ]
    for method in options.methods:
        rule = choose_rule(opened, DecisionRequest(method, None, "image", "cpu"), Silent())
        measured = [measure(opened, rule, [test])[0].task for test in held_out]
        sizes = np.array([one.images for one in measured])
        shares = [
            np.average([getattr(one, kind) for one in measured], weights=sizes)
            for kind in ("task_accuracy", "accuracy_inferred", "accuracy_given")
        ]
        print(row(f"{method}; task given {shares[2]:.2%}", f"{shares[0]:.2%}", f"{shares[1]:.2%}"))
    print(row("images a second", "", ""))
    mixed = np.concatenate([one.split.images[:: len(held_out)] for one in held_out])[:_TIMED]
    plain, pixels = plain_network(opened.net.bank), opened.net.pixels(torch.from_numpy(mixed))
    groups = [[place] for place in range(len(mixed))]
    for method in options.methods:
        rule = choose_rule(opened, DecisionRequest(method, None, "image", "cpu"), Silent())
        seconds = timed(partial(decide, opened, rule, mixed, groups))
        tried = decide(opened, rule, mixed, groups).tried.mean()
        print(row(method, f"{len(mixed) / seconds:.0f}", f"{tried:.1f} masks"))
    with torch.no_grad():
        seconds = timed(lambda: [plain(part) for part in pixels.split(64)])
    print(row("the plain network", f"{len(mixed) / seconds:.0f}", ""))


def timed(work: Callable[[], object]) -> float:
    """Take the best of three runs, seconds."""
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def gathered(net: OpenNetwork, tasks: list[str], shape: tuple[int, int, int]) -> dict[str, Tensor]:
    """Compute features of all images: train and test (N, D) float16, labels, tasks of classes."""
    parts: dict[str, list[Tensor]] = {
        name: [] for name in ("train", "test", "train_labels", "test_labels", "owners")
    }
    classes = 0
    for number, task in enumerate(tasks):
        data = catalog.load(task, shape)
        for name, split in (("train", data.train), ("test", data.test)):
            blocks = [torch.empty(0)]
            for images in np.array_split(split.images, max(1, len(split) // 512)):
                lower = lower_values(net, images)
                with torch.no_grad():
                    blocks.append(
                        net.network(net.pixels(torch.from_numpy(images)))
                        if lower is None
                        else net.parts.above(lower, {})
                    )
            parts[name].append(torch.cat(blocks[1:]).half())
            parts[f"{name}_labels"].append(torch.from_numpy(split.labels) + classes)
        classes += len(data.classes)
        parts["owners"].append(torch.full((len(data.classes),), number))
        print(f"features of {task}", flush=True)
    return {name: torch.cat(one) for name, one in parts.items()}


def print_rivals(found: dict[str, Tensor], owners: Tensor, ranpac: int) -> None:
    """Print how often each of `rivals` is right; `owners` (K,) are the classes' tasks."""
    print(row("method", "task right", "class right"))
    print(row("---", "---:", "---:"))
    values, labels = found["train"].float(), found["train_labels"]
    tests, answers = found["test"].float(), found["test_labels"]
    for name, scores in rivals(values, labels, tests, ranpac):
        guesses = scores.argmax(1)
        task, both = (
            float((one[guesses] == one[answers]).float().mean())
            for one in (owners, torch.arange(len(owners)))
        )
        print(row(name, f"{task:.2%}", f"{both:.2%}"), flush=True)


def rivals(values: Tensor, labels: Tensor, tests: Tensor, ranpac: int) -> list[tuple[str, Tensor]]:
    """Score classes (N, K) of test features by methods that know all of them."""
    means = class_means(values, labels)
    found = [
        ("nearest class mean", -torch.cdist(tests, means)),
        ("LDA", discriminant(values, labels, tests)),
        ("LDA of roots", discriminant(roots(values), labels, roots(tests))),
    ]
    if ranpac:
        found.append((f"RanPAC, {ranpac} features", random_ridge(values, labels, tests, ranpac)))
    return found


def class_means(values: Tensor, labels: Tensor) -> Tensor:
    """Average the features of each class: (K, D)."""
    sums = values.new_zeros(int(labels.max()) + 1, values.shape[1]).index_add_(0, labels, values)
    return sums / labels.bincount()[:, None]


def discriminant(values: Tensor, labels: Tensor, tests: Tensor) -> Tensor:
    """Fit class means and one covariance, shrunk towards its mean variance: scores (N, K)."""
    means = class_means(values, labels)
    apart = values - means[labels]
    covariance = apart.T @ apart / len(values)
    ridge = _SHRINKAGE * covariance.diagonal().mean() * torch.eye(len(covariance))
    weights = torch.linalg.solve((1 - _SHRINKAGE) * covariance + ridge, means.T)
    scores: Tensor = tests @ weights - (means.T * weights).sum(0) / 2
    return scores


def random_ridge(values: Tensor, labels: Tensor, tests: Tensor, size: int) -> Tensor:
    """Regress classes on max(x R, 0), with a ridge chosen on every tenth training image."""
    matrix = torch.randn(values.shape[1], size, generator=torch.Generator().manual_seed(0))
    targets = torch.nn.functional.one_hot(labels).float()
    held = torch.arange(len(values)) % _HELD_OUT == 0

    def sums(rows: Tensor) -> tuple[Tensor, Tensor]:
        gram, cross = torch.zeros(size, size), torch.zeros(size, targets.shape[1])
        for places in rows.nonzero()[:, 0].split(2048):
            hidden = (values[places] @ matrix).relu()
            gram.addmm_(hidden.T, hidden)
            cross.addmm_(hidden.T, targets[places])
        return gram, cross

    gram, cross = sums(~held)
    hidden = (values[held] @ matrix).relu()
    best = max(
        _RIDGES,
        key=lambda ridge: float(
            ((hidden @ solved(gram, cross, ridge)).argmax(1) == labels[held]).float().mean()
        ),
    )
    more, others = sums(held)
    scores: Tensor = (tests @ matrix).relu() @ solved(gram + more, cross + others, best)
    return scores


def solved(gram: Tensor, cross: Tensor, ridge: float) -> Tensor:
    """Return (G + λ I)⁻¹ C."""
    lower = torch.linalg.cholesky(gram + ridge * torch.eye(len(gram)))
    weights: Tensor = torch.cholesky_solve(cross, lower)
    return weights


if __name__ == "__main__":
    main()
