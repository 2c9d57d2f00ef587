"""From a `--data` value to a task's images: what is known, its digest, its splits."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from supsup_cli.data import embedded, variants
from supsup_cli.data.folders import (
    folder_classes,
    folder_digest,
    load_folder,
    load_folder_test,
)
from supsup_cli.data.images import fit_images
from supsup_cli.data.limits import MAX_PIXELS
from supsup_cli.data.names import Variant, resolve
from supsup_cli.data.splits import InputShape, Split, TaskData, TestData, part_calibration

NATIVE_SHAPE: InputShape = (1, 28, 28)

_SPLIT_SIZES = ((12_665, 2_115), (12_089, 2_042), (11_263, 1_874), (12_183, 1_986), (11_800, 1_983))


@dataclass(frozen=True, slots=True)
class KnownData:
    """Describe one form of names for `data list`; `train` counts the calibration share too."""

    form: str
    meaning: str
    classes: int
    train: int
    test: int


def known() -> list[KnownData]:
    """List every form of names that needs no folder, with its counts of images."""
    whole = (10, 60_000, 10_000)
    return [
        KnownData("mnist", "handwritten digits, 28x28 grey", *whole),
        KnownData("mnist-perm-N", "pixels permuted by RandomState(N), N 0..4294967295", *whole),
        KnownData("mnist-rot-DEGREES", "rotated, nearest neighbour, -360..360", *whole),
        *(
            KnownData(f"mnist-split-{i}", f"digits {2 * i} and {2 * i + 1} only", 2, train, test)
            for i, (train, test) in enumerate(_SPLIT_SIZES)
        ),
    ]


def digest(data: str, input_shape: InputShape) -> str:
    """Name the data by a digest, without making its images.

    Equal digests mean equal images before the seeded shares are parted.

    Args:
        data: one name or folder.
        input_shape: (C, H, W) that images are fitted to.

    Returns:
        SHA-256, 64 hex digits, over the source's digest, the variant's canonical name
        ("folder" for a folder, wherever it lies) and the input shape.

    Raises:
        UsageError: the data is unknown.
        NoInputError: the folder is missing or holds fewer than two classes.
    """
    meaning = resolve(data)
    if isinstance(meaning, Path):
        source, variant = folder_digest(meaning), "folder"
    else:
        source, variant = embedded.source_digest(), str(meaning)
    description = {"source": source, "variant": variant, "input": list(input_shape)}
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def classes_of(data: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Name the classes of data and the output of each, without reading an image.

    Raises:
        UsageError: the data is unknown, or a class name cannot be written down.
        NoInputError: the folder is missing or holds fewer than two classes.
    """
    meaning = resolve(data)
    return folder_classes(meaning) if isinstance(meaning, Path) else _classes(meaning)


def load(
    data: str, input_shape: InputShape, *, seed: int = 0, max_pixels: int = MAX_PIXELS
) -> TaskData:
    """Load one task's three splits.

    Variants of MNIST are made at 1x28x28 and then fitted to the input. 5 % of the training
    images, drawn by `seed`, are the calibration split.

    Args:
        data: one name or folder.
        input_shape: (C, H, W) of the network's input.
        seed: of the calibration share, and of a folder's test share where it has no test folder.
        max_pixels: a folder's image with more counts as broken.

    Returns:
        images (N, C, H, W) uint8 in three splits without a common image.

    Raises:
        UsageError: the data is unknown.
        NoInputError: the folder is missing or unusable.
    """
    meaning = resolve(data)
    identity = digest(data, input_shape)
    if isinstance(meaning, Path):
        return load_folder(meaning, input_shape, seed, identity, max_pixels)
    classes, outputs = _classes(meaning)
    train, calibration = part_calibration(*_half(meaning, input_shape, train=True), seed)
    test = Split(*_half(meaning, input_shape, train=False))
    return TaskData(str(meaning), classes, outputs, train, calibration, test, identity)


def load_test(
    data: str, input_shape: InputShape, *, seed: int = 0, max_pixels: int = MAX_PIXELS
) -> TestData:
    """Load one task's test split alone; no training file is read.

    Args and Raises are those of `load`; a folder's `seed` must be the one its task was learned
    with, and a folder without a usable test image is refused.
    """
    meaning = resolve(data)
    if isinstance(meaning, Path):
        return load_folder_test(meaning, input_shape, seed, max_pixels)
    classes, outputs = _classes(meaning)
    test = Split(*_half(meaning, input_shape, train=False))
    return TestData(str(meaning), classes, outputs, test)


def _classes(variant: Variant) -> tuple[tuple[str, ...], tuple[int, ...]]:
    first = 2 * int(variant.number)
    digits = (first, first + 1) if variant.form == "mnist-split" else tuple(range(10))
    return tuple(str(digit) for digit in digits), digits


def _half(
    variant: Variant, input_shape: InputShape, *, train: bool
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    images, labels = embedded.load_mnist(train)
    if variant.form == "mnist-perm":
        images = variants.permuted(images, int(variant.number))
    elif variant.form == "mnist-rot":
        images = variants.rotated(images, float(variant.number))
    elif variant.form == "mnist-split":
        images, labels = variants.split(images, labels, int(variant.number))
    return fit_images(images, input_shape), labels
