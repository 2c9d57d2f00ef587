"""Time a masked learning step against a dense one, and a whole task; run by name.

    python tests/benchmarks/learning/learning_step.py

The dense step is plain PyTorch: the same network, the same optimiser with the same settings, the
same resident data. Steps of both kinds alternate in short runs, so that a slower or faster moment
of the machine meets both; the ratio is taken run by run.
"""

import argparse
import dataclasses
import platform
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional as F

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.one_task import Learning
from supsup_cli.core.learning.recipes import DEFAULT, PAPER, Recipe
from supsup_cli.core.masks.masks import Masks
from supsup_cli.core.networks.specs import MultilayerPerceptron, masked_parameters
from supsup_cli.data import catalog
from tests.support.torch_rules import torch_rule

NETWORKS = {"lenet-300-100": (784, 300, 100, 500), "fc-1024-1024": (784, 1024, 1024, 500)}
STEPS_PER_RUN = 50


def main() -> None:
    """Print a table of milliseconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}")
    data, pixels = labelled_images()
    print("network         recipe     masked ms  dense ms   ratio: median (min … max)")
    for name, sizes in NETWORKS.items():
        for recipe in (PAPER, DEFAULT):
            masked, dense = alternate(sizes, recipe, data, pixels, runs)
            ratios = [a / b for a, b in zip(masked, dense, strict=True)]
            print(
                f"{name:15} {recipe.name:9} {statistics.median(masked):10.3f} "
                f"{statistics.median(dense):9.3f}   {statistics.median(ratios):.3f} "
                f"({min(ratios):.3f} … {max(ratios):.3f})"
            )
    for recipe in (PAPER, DEFAULT):
        network = MultilayerPerceptron(NETWORKS["lenet-300-100"])
        began = time.perf_counter()
        learn(network.requires_grad_(False), recipe, data, pixels, lambda: None)
        print(f"a LeNet task, {recipe.name}, {recipe.steps} steps: "
              f"{time.perf_counter() - began:.2f} s")  # fmt: skip


def labelled_images() -> tuple[LabelledImages, Pixels]:
    train = catalog.load("mnist-perm-0", (1, 28, 28)).train
    images = LabelledImages(torch.from_numpy(train.images), torch.from_numpy(train.labels))
    return images, Pixels(torch.full((1, 1, 1), 0.1307), torch.full((1, 1, 1), 0.3081))


def alternate(
    sizes: tuple[int, ...],
    recipe: Recipe,
    data: LabelledImages,
    pixels: Pixels,
    runs: int,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[float], list[float]]:
    """Return the milliseconds per step of each run, masked and dense."""
    dense_step = _dense_steps(MultilayerPerceptron(sizes), recipe, data, pixels)
    network = MultilayerPerceptron(sizes).requires_grad_(False)
    masked, dense = [], []
    warm_up = 2
    # The run's own set-up (scores, optimiser) is left out: the clock starts at its tenth step.
    long = dataclasses.replace(recipe, steps=STEPS_PER_RUN + 10)
    for run in range(runs + warm_up):
        stamps = _stamps(network, long, data, pixels, clock)
        masked_ms = 1000 * (stamps[-1] - stamps[9]) / STEPS_PER_RUN
        began = clock()
        for _ in range(STEPS_PER_RUN):
            next(dense_step)
        dense_ms = 1000 * (clock() - began) / STEPS_PER_RUN
        if run >= warm_up:
            masked.append(masked_ms)
            dense.append(dense_ms)
    return masked, dense


def _stamps(
    network: nn.Module,
    recipe: Recipe,
    data: LabelledImages,
    pixels: Pixels,
    clock: Callable[[], float],
) -> list[float]:
    stamps: list[float] = []
    learn(network, recipe, data, pixels, lambda: stamps.append(clock()))
    return stamps


def _dense_steps(
    network: nn.Module, recipe: Recipe, data: LabelledImages, pixels: Pixels
) -> Iterator[None]:
    long = dataclasses.replace(recipe, steps=1_000_000)
    rule, schedule = torch_rule(long, network.parameters())
    count = len(data)
    order = torch.randperm(count)
    while True:
        for picked in order.split(recipe.batch_size):
            rule.zero_grad(set_to_none=True)
            loss = F.cross_entropy(network(pixels(data.take(picked))), data.targets[picked])
            loss.backward()
            rule.step()
            schedule.step()
            yield


def learn(
    network: nn.Module,
    recipe: Recipe,
    data: LabelledImages,
    pixels: Pixels,
    on_step: Callable[[], None],
) -> Masks:
    names = masked_parameters(network)
    learning = Learning(network, names, data, pixels, recipe, seed=0, task="t")
    while not learning.done:
        learning.advance()
        on_step()
    return learning.masks()


if __name__ == "__main__":
    main()
