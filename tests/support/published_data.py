"""Small data sets in the published formats: CIFAR's batches, ImageNet's folders."""

import pickle  # noqa: TID251 - CIFAR is published so; what is written here is read by torchvision
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision
from PIL import Image

CIFAR = {
    "CIFAR10": ("cifar-10-batches-py", "batches.meta", "label_names", "labels", 10),
    "CIFAR100": ("cifar-100-python", "meta", "fine_label_names", "fine_labels", 100),
}


def write_cifar(root: Path, kind: str, each: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write `each` images of each class into every batch, the class's number in every pixel.

    torchvision compares MD5s with those of the published files, so the lists get the new ones.
    """
    folder_name, meta, names_key, labels_key, classes = CIFAR[kind]
    folder = root / folder_name
    folder.mkdir(parents=True)
    labels = list(range(classes)) * each
    rows = np.repeat(np.array(labels, np.uint8)[:, None], 3072, axis=1)
    reader = getattr(torchvision.datasets, kind)
    for which in ("train_list", "test_list"):
        batches = [name for name, _ in getattr(reader, which)]
        for place, name in enumerate(batches):
            noisy = rows.copy()
            noisy[:, 0] = place
            _write(folder / name, {"data": noisy, labels_key: labels})
        monkeypatch.setattr(reader, which, [[name, None] for name in batches])
    _write(folder / meta, {names_key: [f"class{number:02d}" for number in range(classes)]})
    monkeypatch.setattr(reader, "meta", {"filename": meta, "key": names_key, "md5": None})


def write_imagenet(root: Path, classes: int, train: int = 6, val: int = 2) -> None:
    """Write class folders of JPEGs of several sizes; a class has a colour of its own."""
    draws = np.random.RandomState(0)
    for number in range(classes):
        for part, count in (("train", train), ("val", val)):
            folder = root / part / f"n{number:08d}"
            folder.mkdir(parents=True)
            for place in range(count):
                size = draws.randint(40, 90, 2)
                colour = np.full((*size, 3), (number * 12, 255 - number * 12, 60 * (number % 4)))
                noisy = colour + draws.randint(-20, 20, colour.shape)
                pixels = np.clip(noisy, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{part}_{place}.JPEG")


def _write(path: Path, batch: dict[str, Any]) -> None:
    with path.open("wb") as file:
        pickle.dump(batch, file)
