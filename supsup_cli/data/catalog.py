"""From a `--data` value to a task's images: what is known, its digest, its splits."""

import hashlib
import json
from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from supsup_cli.data import embedded, imagenet, published, variants
from supsup_cli.data.folders.loading import (
    folder_classes,
    folder_digest,
    listing_digest,
    load_folder,
    load_folder_test,
    load_listing,
    load_listing_test,
)
from supsup_cli.data.images import fit_images
from supsup_cli.data.names import Variant, resolve
from supsup_cli.data.reading import DEFAULT, Reading
from supsup_cli.data.splits import (
    InputShape,
    Split,
    TaskData,
    TestData,
    calibration_share,
    part_calibration,
)
from supsup_cli.errors import NoInputError

NATIVE_SHAPE: InputShape = (1, 28, 28)

_SPLIT_SIZES = ((12_665, 2_115), (12_089, 2_042), (11_263, 1_874), (12_183, 1_986), (11_800, 1_983))


@dataclass(frozen=True, slots=True)
class KnownData:
    """Describe one form of names for `data list`.

    `train` counts the calibration share too; of ImageNet it is the most that a task has.
    `needs_root` tells that the data lie outside the package.
    """

    form: str
    meaning: str
    classes: int
    train: int
    test: int
    needs_root: bool = False


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
        KnownData(
            "cifar10-split-I", "classes 2I and 2I+1 of CIFAR-10, I 0..4", 2, 10_000, 2_000, True
        ),
        KnownData("cifar100-split-I", "5 classes of CIFAR-100, I 0..19", 5, 2_500, 500, True),
        KnownData("imagenet-split-I", "10 classes of ImageNet, I 0..99", 10, 13_000, 500, True),
    ]


def native_shape(data: str) -> InputShape:
    """Tell the shape that data are written out in: their own, and for photos of any size 224."""
    meaning = resolve(data)
    form = meaning.form if isinstance(meaning, Variant) else imagenet.FORM
    if form in published.SETS:
        return (3, 32, 32)
    return (3, 224, 224) if form == imagenet.FORM else NATIVE_SHAPE


def digest(data: str, input_shape: InputShape, reading: Reading = DEFAULT) -> str:
    """Name the data by a digest, without making its images.

    Equal digests mean equal images before the seeded shares are parted.

    Args:
        data: one name or folder.
        input_shape: (C, H, W) that images are fitted to.
        reading: where data sets lie that are not in the package.

    Returns:
        SHA-256, 64 hex digits, over the source's digest, the variant's canonical name
        ("folder" for a folder, wherever it lies) and the input shape.

    Raises:
        UsageError: the data is unknown.
        NoInputError: the data is missing, or the folder holds fewer than two classes.
    """
    meaning = resolve(data)
    variant = "folder" if isinstance(meaning, Path) else str(meaning)
    if isinstance(meaning, Path):
        source = folder_digest(meaning, reading)
    elif meaning.form in published.SETS:
        source = published.published_digest(meaning.form, reading)
    elif meaning.form == imagenet.FORM:
        source = listing_digest(imagenet.list_imagenet(int(meaning.number), reading))
    else:
        source = embedded.source_digest()
    description = {"source": source, "variant": variant, "input": list(input_shape)}
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def reading_of(
    data: str, input_shape: InputShape, wanted: Container[str], reading: Reading = DEFAULT
) -> Reading | None:
    """Find how data must be read to be some that a task was learned from.

    What a folder means has changed: a task of before goes on being measured by what it was
    learned from.

    Args:
        data: one name or folder.
        input_shape: (C, H, W) that images are fitted to.
        wanted: digests, as tasks record them.
        reading: where data lie.

    Returns:
        the reading whose digest is among those wanted, today's rule before the first; or None.

    Raises:
        UsageError, NoInputError: as `digest`, and by the first rule there is nothing either.
    """
    first = replace(reading, first_rule=True)
    try:
        if digest(data, input_shape, reading) in wanted:
            return reading
    except NoInputError:
        if not _has_digest(data, input_shape, wanted, first):
            raise
        return first
    return first if _has_digest(data, input_shape, wanted, first) else None


def classes_of(data: str, reading: Reading = DEFAULT) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Name the classes of data and the output of each, without decoding an image.

    Raises:
        UsageError: the data is unknown, or a class name cannot be written down.
        NoInputError: the data is missing, or the folder holds fewer than two classes.
    """
    meaning = resolve(data)
    return (
        folder_classes(meaning, reading)
        if isinstance(meaning, Path)
        else _classes(meaning, reading)
    )


def load(
    data: str, input_shape: InputShape, *, seed: int = 0, reading: Reading = DEFAULT
) -> TaskData:
    """Load one task's three splits.

    Variants of MNIST are made at 1x28x28 and then fitted to the input. 5 % of the training
    images, drawn by `seed`, are the calibration split.

    Args:
        data: one name or folder.
        input_shape: (C, H, W) of the network's input.
        seed: of the calibration share, and of a folder's test share where it has no test folder.
        reading: where data lie; a file with more pixels than it allows counts as broken.

    Returns:
        images (N, C, H, W) uint8 in three splits without a common image.

    Raises:
        UsageError: the data is unknown.
        NoInputError: the data is missing or unusable.
        StorageError: there is no room for the images, or they cannot be fetched.
    """
    meaning = resolve(data)
    identity = digest(data, input_shape, reading)
    if isinstance(meaning, Path):
        return load_folder(meaning, input_shape, seed, identity, reading)
    if meaning.form == imagenet.FORM:
        listing = imagenet.list_imagenet(int(meaning.number), reading)
        return load_listing(listing, str(meaning), input_shape, seed, identity, reading)
    classes, outputs = _classes(meaning, reading)
    train, calibration = _parts(meaning, input_shape, reading, seed)
    test = Split(*_half(meaning, input_shape, reading, train=False))
    return TaskData(str(meaning), classes, outputs, train, calibration, test, identity)


def load_test(
    data: str, input_shape: InputShape, *, seed: int = 0, reading: Reading = DEFAULT
) -> TestData:
    """Load one task's test split alone; no training image is decoded.

    Args and Raises are those of `load`; a folder's `seed` must be the one its task was learned
    with, and a folder without a usable test image is refused.
    """
    meaning = resolve(data)
    if isinstance(meaning, Path):
        return load_folder_test(meaning, input_shape, seed, reading)
    if meaning.form == imagenet.FORM:
        listing = imagenet.list_imagenet(int(meaning.number), reading)
        return load_listing_test(listing, str(meaning), input_shape, seed, reading)
    classes, outputs = _classes(meaning, reading)
    test = Split(*_half(meaning, input_shape, reading, train=False))
    return TestData(str(meaning), classes, outputs, test)


def _has_digest(data: str, input_shape: InputShape, wanted: Container[str], first: Reading) -> bool:
    try:
        return isinstance(resolve(data), Path) and digest(data, input_shape, first) in wanted
    except NoInputError:
        return False


def _classes(variant: Variant, reading: Reading) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Name the classes and their outputs: MNIST's are the digits, all others count from 0."""
    index = int(variant.number)
    if variant.form == imagenet.FORM:
        classes = imagenet.list_imagenet(index, reading).classes
        return classes, tuple(range(len(classes)))
    if variant.form in published.SETS:
        *_, names = published.load_published(variant.form, index, reading, train=False)
        return names, tuple(range(len(names)))
    digits = (2 * index, 2 * index + 1) if variant.form == "mnist-split" else tuple(range(10))
    return tuple(str(digit) for digit in digits), digits


def _parts(
    variant: Variant, input_shape: InputShape, reading: Reading, seed: int
) -> tuple[Split, Split]:
    """Part the training half. Permutations share one store, so that none is written out whole."""
    if variant.form != "mnist-perm" or input_shape != NATIVE_SHAPE:
        return part_calibration(*_half(variant, input_shape, reading, train=True), seed)
    images, labels = embedded.load_mnist(True)
    sources = variants.permutation(images[0].size, int(variant.number))
    chosen = calibration_share(labels, seed)
    train, calibration = (
        Split(images, labels[here], np.flatnonzero(here), sources) for here in (~chosen, chosen)
    )
    return train, calibration


def _half(
    variant: Variant, input_shape: InputShape, reading: Reading, *, train: bool
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if variant.form in published.SETS:
        index = int(variant.number)
        images, labels, _ = published.load_published(variant.form, index, reading, train=train)
        return fit_images(images, input_shape), labels
    images, labels = embedded.load_mnist(train)
    if variant.form == "mnist-perm":
        images = variants.permuted(images, int(variant.number))
    elif variant.form == "mnist-rot":
        images = variants.rotated(images, float(variant.number))
    elif variant.form == "mnist-split":
        images, labels = variants.split(images, labels, int(variant.number))
    return fit_images(images, input_shape), labels
