"""A folder of class folders as a task: FOLDER/CLASS/IMAGE, or FOLDER/train/… and FOLDER/test/….

The layout with `train` (and, if there, `test`) is taken when `train` holds folders and no
images of its own; a class may thus be called "train". Without a `test` folder a seeded 15 % of
each class is held out. Broken images are listed, not fatal.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from supsup_cli.data.class_folders import Broken, Files, Listing, layout_hint, list_classes
from supsup_cli.data.images import read_images
from supsup_cli.data.limits import MOST_FILE_BYTES
from supsup_cli.data.reading import DEFAULT, Reading
from supsup_cli.data.room import make_room
from supsup_cli.data.splits import (
    TEST_DRAW,
    InputShape,
    Split,
    TaskData,
    TestData,
    generator,
    part_calibration,
)
from supsup_cli.errors import ImageError, NoInputError, StorageError

_TEST_SHARE = 0.15
_PART = 512


def load_folder(
    folder: Path, input_shape: InputShape, seed: int, digest: str, reading: Reading = DEFAULT
) -> TaskData:
    """Read a folder of class folders as a task; classes count from output 0.

    Classes come in order of names, in order of numbers if all names are numbers. Test and
    calibration may be empty when there are few images.

    Args:
        folder: the folder, absolute.
        input_shape: (C, H, W) that images are fitted to.
        seed: of the shares held out for test and calibration.
        digest: what `folder_digest` leads to, 64 hex digits.
        reading: an image with more pixels counts as broken.

    Raises:
        NoInputError: fewer than two classes, or a class without a usable training image.
        UsageError: a class name that cannot be written down.
        StorageError: there is no room for the decoded images.
    """
    data = load_listing(list_classes(folder), folder.name, input_shape, seed, digest, reading)
    return dataclasses.replace(data, source=str(folder))


def load_folder_test(
    folder: Path, input_shape: InputShape, seed: int, reading: Reading = DEFAULT
) -> TestData:
    """Read only the test images; `seed` must be the task's for the same share to be held out.

    Raises:
        NoInputError: fewer than two classes, or no usable test image.
        UsageError: a class name that cannot be written down.
    """
    data = load_listing_test(list_classes(folder), folder.name, input_shape, seed, reading)
    return dataclasses.replace(data, source=str(folder))


def load_listing(
    listing: Listing, name: str, input_shape: InputShape, seed: int, digest: str, reading: Reading
) -> TaskData:
    """Read listed files as a task of that name; see `load_folder`."""
    train_files, test_files = _part_test(listing, seed)
    images, labels, broken = _read(listing.classes, train_files, input_shape, reading)
    for label, one in enumerate(listing.classes):
        if not np.any(labels == label):
            raise NoInputError(
                f"{listing.folder}: class {one!r} has no usable training image, expected at least "
                f"1 ({len(train_files[one])} found, all broken)",
                hint=layout_hint(listing.folder),
            )
    test_images, test_labels, test_broken = _read(listing.classes, test_files, input_shape, reading)
    train, calibration = part_calibration(images, labels, seed, in_place=True)
    return TaskData(
        name=name,
        classes=listing.classes,
        outputs=tuple(range(len(listing.classes))),
        train=train,
        calibration=calibration,
        test=Split(test_images, test_labels),
        digest=digest,
        broken=listing.empty + broken + test_broken,
    )


def load_listing_test(
    listing: Listing, name: str, input_shape: InputShape, seed: int, reading: Reading
) -> TestData:
    """Read the test files of a list as a task of that name; see `load_folder_test`."""
    _, files = _part_test(listing, seed)
    images, labels, broken = _read(listing.classes, files, input_shape, reading)
    if not len(labels):
        raise NoInputError(
            f"{listing.folder}: 0 usable test images, expected at least 1 (more images per class, "
            "or a test folder)",
            hint=layout_hint(listing.folder),
        )
    outputs = tuple(range(len(listing.classes)))
    unread = {path for path, _ in broken}
    paths = (path for one in listing.classes for path in files[one])
    return TestData(
        name,
        listing.classes,
        outputs,
        Split(images, labels),
        broken=listing.empty + broken,
        files=tuple(path for path in paths if path not in unread),
    )


def folder_classes(folder: Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Name the classes of a folder and the output of each, without reading an image.

    Raises:
        NoInputError: fewer than two classes.
        UsageError: a class name that cannot be written down.
    """
    classes = list_classes(folder).classes
    return classes, tuple(range(len(classes)))


def folder_digest(folder: Path) -> str:
    """Digest a folder's image files, broken ones included, decoding none.

    Returns:
        SHA-256, 64 hex digits, over the sorted (split, class, file name, SHA-256 of its bytes).

    Raises:
        NoInputError: fewer than two classes.
        UsageError: a class name that cannot be written down.
    """
    return listing_digest(list_classes(folder))


def listing_digest(listing: Listing) -> str:
    """Digest listed files as `folder_digest` does."""
    whole = listing.test is None
    rows = [
        [split, name, Path(path).relative_to(listing.folder).as_posix(), _file_digest(path)]
        for split, files in (("" if whole else "train", listing.train), ("test", listing.test))
        for name, paths in (files or {}).items()
        for path in paths
    ]
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()


def _file_digest(path: str) -> str:
    try:
        # a pipe would block, and is no image
        if not Path(path).is_file():
            return ""
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MOST_FILE_BYTES:
                return f"{size} bytes"  # more than is read of an image
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, PermissionError):
        return ""  # an image that cannot be read, told as such when images are read
    except OSError as error:
        # Another digest would make another task of the same folder.
        raise StorageError(
            f"{path}: cannot read: {error.strerror or error}",
            hint="check the disk, and type the command again",
        ) from error


def _part_test(listing: Listing, seed: int) -> tuple[Files, Files]:
    if listing.test is not None:
        return listing.train, listing.test
    draws = generator(seed, TEST_DRAW)
    train: Files = {}
    test: Files = {}
    for name in listing.classes:
        paths = listing.train[name]
        order = draws.permutation(len(paths))
        share = max(1, round(_TEST_SHARE * len(paths))) if len(paths) > 1 else 0
        test[name] = [paths[place] for place in sorted(order[:share])]
        train[name] = [paths[place] for place in sorted(order[share:])]
    return train, test


def _read(
    classes: Sequence[str], files: Files, input_shape: InputShape, reading: Reading
) -> tuple[NDArray[np.uint8], NDArray[np.int64], Broken]:
    paths = [path for name in classes for path in files[name]]
    wanted = np.repeat(np.arange(len(classes)), [len(files[name]) for name in classes])
    images = make_room(len(paths), input_shape)
    labels: list[int] = []
    broken: list[tuple[str, str]] = []
    # in parts, so that the decoded images never lie in memory twice
    parts = (paths[start : start + _PART] for start in range(0, len(paths), _PART))
    most = reading.max_pixels
    results = (result for part in parts for result in read_images(part, input_shape, most))
    for path, label, result in zip(paths, wanted.tolist(), results, strict=True):
        if isinstance(result, ImageError):
            broken.append((path, result.reason))
        else:
            images[len(labels)] = result
            labels.append(label)
    return images[: len(labels)], np.array(labels, dtype=np.int64), tuple(broken)
