"""Cut sample photos into patches: tasks of class folders, so that photos need no download.

    python tests/benchmarks/made/photo_patches.py FOLDER [--train 400] [--test 100] [--size 32]

The photos are those inside the packages scikit-image and scikit-learn (`pip install
supsup[bench]`); a class is a photo. Each photo is parted into 4 x 4 tiles; four of them, one in
every row and column, give the test patches, the others the training patches, so that no pixel is
in both. Writes
FOLDER/TASK/train/CLASS/NNN.png and FOLDER/TASK/test/CLASS/NNN.png, colour, and prints a line for
each task. Equal arguments write equal files.
"""

import argparse
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_image

Pixels = NDArray[np.uint8]

# (row, column): one tile in every row and every column
_TEST_TILES = frozenset({(0, 1), (1, 3), (2, 0), (3, 2)})
_TILES = 4
_SHORTER_SIDE = 400  # larger photos are reduced, so that a patch shows more than a blur

TASKS: dict[str, dict[str, Callable[[], Any]]] = {
    "things": {
        "coffee": data.coffee,
        "motorcycle": lambda: data.stereo_motorcycle()[0],
        "rocket": data.rocket,
        "coins": data.coins,
    },
    "living": {
        "cat": data.chelsea,
        "flower": lambda: load_sample_image("flower.jpg"),
        "grass": data.grass,
        "woman": data.astronaut,
    },
    "science": {
        "galaxies": data.hubble_deep_field,
        "retina": data.retina,
        "tissue": data.immunohistochemistry,
        "moon": data.moon,
    },
    "outdoors": {
        "temple": lambda: load_sample_image("china.jpg"),
        "bricks": data.brick,
        "gravel": data.gravel,
        "cameraman": data.camera,
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=400, help="patches of each class")
    parser.add_argument("--test", type=int, default=100, help="patches of each class")
    parser.add_argument("--size", type=int, default=32, help="pixels of a side")
    options = parser.parse_args()
    for task, photos in TASKS.items():
        counts = {"train": options.train, "test": options.test}
        for name, open_photo in photos.items():
            photo = colour(np.asarray(open_photo()))
            for split, count in counts.items():
                patches = cut(photo, split, count, options.size)
                write(patches, options.folder / task / split / name)
        print(f"{options.folder / task}: {len(photos)} classes ({', '.join(photos)})")


def colour(photo: Pixels) -> Image.Image:
    """Convert a photo to RGB, and reduce its shorter side to at most `_SHORTER_SIDE`."""
    image = Image.fromarray(photo).convert("RGB")
    scale = min(1.0, _SHORTER_SIDE / min(image.size))
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)


def cut(photo: Image.Image, split: str, count: int, size: int) -> list[Image.Image]:
    """Cut patches out of the split's tiles, at seeded places spread over all tiles."""
    places = []
    for row, column in product(range(_TILES), repeat=2):
        if ((row, column) in _TEST_TILES) != (split == "test"):
            continue
        left, right = (photo.width * edge // _TILES for edge in (column, column + 1))
        top, bottom = (photo.height * edge // _TILES for edge in (row, row + 1))
        places += list(product(range(left, right - size + 1), range(top, bottom - size + 1)))
    if len(places) < count:
        raise SystemExit(f"{len(places)} places for patches of {size} pixels, expected {count}")
    chosen = np.random.RandomState(0).permutation(len(places))[:count]
    return [
        photo.crop((x, y, x + size, y + size)) for x, y in (places[one] for one in chosen.tolist())
    ]


def write(patches: list[Image.Image], folder: Path) -> None:
    """Write patches as NNN.png."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, patch in enumerate(patches):
        patch.save(folder / f"{number:03d}.png")


if __name__ == "__main__":
    main()
