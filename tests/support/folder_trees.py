"""Trees of small images, written by their paths."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.commands import run

SHAPE = (1, 8, 8)


def write_images(folder: Path, *places: str, each: int = 20) -> Path:
    """Write images of noise: `each` into a place that ends in /, one at a place that does not.

    Each class has one bright half: the upper one if its name begins before "d" in the alphabet,
    else the lower one. All images differ.
    """
    for place in places:
        target = folder / place
        if place.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
            files = [target / f"{number:02d}.png" for number in range(each)]
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            files = [target]
        for file in files:
            draws = np.random.default_rng([len(str(file.relative_to(folder))), *str(file).encode()])
            pixels = draws.integers(0, 90, SHAPE[1:], dtype=np.uint8)
            upper = file.parent.name.lower() < "d"
            pixels[slice(0, 4) if upper else slice(4, 8)] += 150
            Image.fromarray(pixels).save(file, format="PNG")
    return folder


def make_small_bank(path: Path) -> Path:
    """Make a bank for images of `SHAPE`."""
    shape = ("--arch", "mlp-16", "--input", "x".join(map(str, SHAPE)), "--outputs", 60)
    assert run("init-base", "--bank", path, *shape).code == 0
    return path
