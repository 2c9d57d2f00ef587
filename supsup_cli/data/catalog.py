"""From a `--data` value to a task's images: what is known, its digest, its splits."""

import hashlib
import json
from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from supsup_cli.data import imagenet, published
from supsup_cli.data.folders.loading import folder_data
from supsup_cli.data.mnist import MnistData
from supsup_cli.data.names import resolve
from supsup_cli.data.reading import DEFAULT, Reading
from supsup_cli.data.splits import HeldOutData, InputShape, TaskData
from supsup_cli.errors import NoInputError

_SPLIT_SIZES = ((12_665, 2_115), (12_089, 2_042), (11_263, 1_874), (12_183, 1_986), (11_800, 1_983))


@dataclass(frozen=True, slots=True)
class KnownData:
    """Describe one form of names for `data list`.

    `train` includes the calibration share; for ImageNet it is the most that a task can have.
    `needs_root` is true for data outside the package.
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


class Data(Protocol):
    """One task's data, of one kind; nothing is read until it is needed.

    A new kind of data is a class with these, and a line in `open_data`.
    """

    @property
    def variant(self) -> object:
        """The text that replaces the name in the digest."""

    @property
    def native_shape(self) -> InputShape:
        """Shape (C, H, W) that images are exported in: their own, and 224 for photos."""

    def classes(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Name the classes and the output of each, without decoding an image."""

    def source_digest(self) -> str:
        """Digest what the images come from: 64 hex digits."""

    def load(self, input_shape: InputShape, seed: int, digest: str, /) -> TaskData:
        """Load the three splits."""

    def load_test(self, input_shape: InputShape, seed: int, /) -> HeldOutData:
        """Load the test split alone; no training image is decoded."""


def open_data(data: str, reading: Reading = DEFAULT) -> Data:
    """Find what one `--data` value stands for.

    Raises:
        UsageError: the data is unknown.
        NoInputError: the folder is missing.
    """
    meaning = resolve(data)
    if isinstance(meaning, Path):
        return folder_data(meaning, reading)
    if meaning.form in published.SETS:
        return published.published_data(meaning, reading)
    if meaning.form == imagenet.FORM:
        return imagenet.imagenet_data(meaning, reading)
    return MnistData(meaning)


def native_shape(data: str) -> InputShape:
    """Return the shape that data are exported in: their own, and 224 for photos of any size."""
    return open_data(data).native_shape


def digest(data: str, input_shape: InputShape, reading: Reading = DEFAULT) -> str:
    """Name the data by a digest, without making its images.

    Equal digests mean equal images before the seeded shares are drawn.

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
    return _digest(open_data(data, reading), input_shape)


def reading_of(
    data: str, input_shape: InputShape, wanted: Container[str], reading: Reading = DEFAULT
) -> Reading | None:
    """Find the way of reading data that gives what a task was learned from.

    The rules for folders have changed. An older task is still measured on the data it was learned
    from.

    Args:
        data: one name or folder.
        input_shape: (C, H, W) that images are fitted to.
        wanted: digests, as tasks record them.
        reading: where data lie.

    Returns:
        the reading with a wanted digest, today's rule before the first rule; or None.

    Raises:
        UsageError, NoInputError: as `digest`, and the first rule finds nothing either.
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
    return open_data(data, reading).classes()


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
    opened = open_data(data, reading)
    return opened.load(input_shape, seed, _digest(opened, input_shape))


def load_test(
    data: str, input_shape: InputShape, *, seed: int = 0, reading: Reading = DEFAULT
) -> HeldOutData:
    """Load one task's test split alone; no training image is decoded.

    Args and Raises are those of `load`; a folder's `seed` must be the one its task was learned
    with; a folder without a usable test image is refused.
    """
    return open_data(data, reading).load_test(input_shape, seed)


def _digest(data: Data, input_shape: InputShape) -> str:
    description = {
        "source": data.source_digest(),
        "variant": str(data.variant),
        "input": list(input_shape),
    }
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _has_digest(data: str, input_shape: InputShape, wanted: Container[str], first: Reading) -> bool:
    try:
        return isinstance(resolve(data), Path) and digest(data, input_shape, first) in wanted
    except NoInputError:
        return False
