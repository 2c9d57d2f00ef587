"""Measure how many digits, noise images and other pictures are called new by tasks of photos.

    python -m tests.benchmarks.decisions.photo_strangers BANK [FOLDER …]

The bank has learned photos on a network with convolutions, with signatures. Strangers are test
images of MNIST, uniform and Gaussian noise, and pictures below folders, 300 of each.
`supsup evaluate` measures false alarms.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from supsup_cli.data import catalog
from supsup_cli.workflows.inference.decisions import decide
from supsup_cli.workflows.inference.rules import DecisionRequest, choose_rule
from supsup_cli.workflows.opening import open_tasks
from supsup_cli.workflows.reporting import Silent

_IMAGES = 300


def main() -> None:
    """Print a line for each kind of image."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bank", type=Path)
    parser.add_argument("folders", nargs="*", help="of class folders")
    options = parser.parse_args()
    opened = open_tasks(options.bank, "cpu")
    rule = choose_rule(opened, DecisionRequest("auto", None, "image", "cpu"), Silent())
    shape = opened.net.bank.record.input.shape
    random = np.random.default_rng(0)
    normal = 127 + 50 * random.standard_normal((_IMAGES, *shape))
    strangers: dict[str, NDArray[np.uint8]] = {
        "uniform noise": random.integers(0, 256, (_IMAGES, *shape), np.uint8),
        "Gaussian noise": normal.clip(0, 255).astype(np.uint8),
    }
    for name in ("mnist", *options.folders):
        images = catalog.load_test(name, shape).test.images
        strangers[name] = images[random.permutation(len(images))[:_IMAGES]]
    for name, images in strangers.items():
        groups = [[place] for place in range(len(images))]
        known = decide(opened, rule, images, groups).known
        print(f"{name}: {100 * (~known).mean():.1f} % of {len(images)} called new", flush=True)


if __name__ == "__main__":
    main()
