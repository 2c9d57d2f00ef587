"""Measure how often strangers' images and known ones are called new; run by name.

    supsup init-base --bank b; supsup learn-task --bank b --data mnist-perm-0..49
    python tests/benchmarks/decisions/strangers.py b

The bank holds permuted MNIST. The known images are the test images of its tasks. Each is judged as
every command judges it, by the calibration of the task that fits it best. The strangers are 5,000
test images of 20 permutations that the bank has not learned, Gaussian noise in the normalised
space, and inverted digits of permutations that it has learned and that it has not.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supsup_cli.core.inference.novelty import damped_log_odds, novelty_threshold
from supsup_cli.core.masks.superposition import masked_forward
from supsup_cli.data import embedded, variants
from supsup_cli.workflows.inference.known import calibration_of
from supsup_cli.workflows.opening import OpenTasks, open_tasks

STRANGERS = range(1000, 1020)
IMAGES = 5000


def main() -> None:
    """Print one line for each kind of image."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bank", type=Path)
    options = parser.parse_args()
    opened = open_tasks(options.bank, "auto")
    digits, _ = embedded.load_mnist(False)
    learned = [int(name.rpartition("-")[2]) for name in opened.names]
    pixels = opened.net.pixels

    def drawn(permutations: list[int] | range, *, inverted: bool = False) -> Tensor:
        stream = np.random.default_rng(3)
        each = IMAGES // len(permutations)
        rows: list[NDArray[np.uint8]] = [
            variants.permuted(digits, one)[stream.permutation(len(digits))[:each]]
            for one in permutations
        ]
        images = np.concatenate(rows)
        return pixels(torch.from_numpy(255 - images if inverted else images))

    noise = torch.randn(IMAGES, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    for name, inputs in (
        ("known (false alarms)", drawn(learned)),
        ("unseen permutations", drawn(STRANGERS)),
        ("Gaussian noise", noise),
        ("inverted, learned permutations", drawn(learned, inverted=True)),
        ("inverted, unseen permutations", drawn(STRANGERS, inverted=True)),
    ):
        print(f"{name}: {100 * _new(opened, inputs):.2f} % of {len(inputs)} called new", flush=True)


def _new(opened: OpenTasks, inputs: Tensor) -> float:
    """Return the share of inputs (N, C, H, W) that are new to their best task by R."""
    scores, misfits = [], []
    for place, own in enumerate(opened.own):
        logits = masked_forward(opened.net.network, opened.stack.masks(place), inputs)
        plain = torch.logsumexp(logits[:, own], 1)
        scores.append(plain - torch.logsumexp(logits[:, ~own], 1))
        misfits.append(damped_log_odds(logits, own, inputs))
    best = torch.stack(scores, 1).argmax(1)
    found = torch.stack(misfits, 1)[torch.arange(len(best)), best]
    thresholds = [
        novelty_threshold(calibration_of(task), len(opened.tasks)) for task in opened.tasks
    ]
    return float((found > torch.tensor(thresholds)[best]).float().mean())


if __name__ == "__main__":
    main()
