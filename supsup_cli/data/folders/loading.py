"""A folder of class folders as a task: its images read, shares held out where it has no split.

`layouts` decides what the folder means. Without a folder for the test, a seeded 15 % of each class
is held out. Broken images are listed, not fatal.
"""

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from supsup_cli.data.folders.class_folders import (
    Broken,
    Files,
    Listing,
    list_by_first_rule,
    list_classes,
)
from supsup_cli.data.folders.layouts import layout_hint
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
_NOTHING = hashlib.sha256(b"").hexdigest()  # of an empty file, which is no image
_SETTLED = 2 * 10**9  # nanoseconds; a file changed since may change again within the clock's step


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
    listing = _listed(folder, reading)
    data = load_listing(listing, folder.name, input_shape, seed, digest, reading)
    return dataclasses.replace(data, source=str(folder))


def load_folder_test(
    folder: Path, input_shape: InputShape, seed: int, reading: Reading = DEFAULT
) -> TestData:
    """Read only the test images; `seed` must be the task's for the same share to be held out.

    Raises:
        NoInputError: fewer than two classes, or no usable test image.
        UsageError: a class name that cannot be written down.
    """
    data = load_listing_test(_listed(folder, reading), folder.name, input_shape, seed, reading)
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
    if listing.calibration is None:
        train, calibration = part_calibration(images, labels, seed, in_place=True)
    else:
        train = Split(images, labels)
        files, labels, more = _read(listing.classes, listing.calibration, input_shape, reading)
        calibration = Split(files, labels)
        test_broken = more + test_broken
    parts = (
        f"train {len(train):,}, calibration {len(calibration):,} "
        f"({_origin(listing.calibration_folder, '5 % of train')}), test {len(test_labels):,} "
        f"({_origin(listing.test_folder, '15 % of each class')})"
    )
    halves = {"train": train_files, "test": test_files, "calibration": listing.calibration or {}}
    return TaskData(
        name=name,
        classes=listing.classes,
        outputs=tuple(range(len(listing.classes))),
        train=train,
        calibration=calibration,
        test=Split(test_images, test_labels),
        digest=digest,
        broken=listing.broken + broken + test_broken,
        parts=parts,
        notes=(*listing.notes, *_notes_of_equals(halves)),
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
    test = Split(images, labels)
    return TestData(name, listing.classes, outputs, test, broken=listing.broken + broken)


def folder_classes(
    folder: Path, reading: Reading = DEFAULT
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Name the classes of a folder and the output of each, without reading an image.

    Raises:
        NoInputError: fewer than two classes.
        UsageError: a class name that cannot be written down.
    """
    classes = _listed(folder, reading).classes
    return classes, tuple(range(len(classes)))


def folder_digest(folder: Path, reading: Reading = DEFAULT) -> str:
    """Digest a folder's image files, broken ones included, decoding none.

    Returns:
        SHA-256, 64 hex digits, over the sorted (split, class, file name, SHA-256 of its bytes).

    Raises:
        NoInputError: fewer than two classes.
        UsageError: a class name that cannot be written down.
    """
    return listing_digest(_listed(folder, reading))


def listing_digest(listing: Listing) -> str:
    """Digest listed files as `folder_digest` does."""
    whole = listing.test is None
    rows = [
        [split, name, Path(path).relative_to(listing.folder).as_posix(), _file_digest(path)]
        for split, files in (
            ("" if whole else "train", listing.train),
            ("test", listing.test),
            ("calibration", listing.calibration),
        )
        for name, paths in (files or {}).items()
        for path in paths
    ]
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()


def _listed(folder: Path, reading: Reading) -> Listing:
    return list_by_first_rule(folder) if reading.first_rule else list_classes(folder)


def _origin(folder: str, share: str) -> str:
    return f"folder {folder}" if folder else share


def _file_digest(path: str) -> str:
    """Digest a file's bytes; once, as long as nothing of it changes."""
    try:
        # a pipe would block, and is no image
        status = Path(path).stat()
        if not Path(path).is_file():
            return ""
        changed = max(status.st_mtime_ns, status.st_ctime_ns)
        if time.time_ns() - changed < _SETTLED:
            return _content_digest.__wrapped__(path)
        stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, changed)
        return _content_digest(path, stamp)
    except (FileNotFoundError, PermissionError):
        return ""  # an image that cannot be read, told as such when images are read
    except OSError as error:
        # Another digest would make another task of the same folder.
        raise StorageError(
            f"{path}: cannot read: {error.strerror or error}",
            hint="check the disk, and type the command again",
        ) from error


@lru_cache(maxsize=2**18)
def _content_digest(path: str, _stamp: object = None) -> str:
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_FILE_BYTES:
            return f"{size} bytes"  # more than is read of an image
        return hashlib.file_digest(file, "sha256").hexdigest()


def _notes_of_equals(splits: dict[str, Files]) -> list[str]:
    """Tell of files with equal bytes that count as different images, in one line.

    Args:
        splits: name → class → files; `train` with the share that calibration is drawn from.
    """
    classes: dict[str, set[str]] = {}
    places: dict[str, set[str]] = {}
    for split, files in splits.items():
        for name, paths in files.items():
            for path in paths:
                content = _file_digest(path)
                if content not in ("", _NOTHING):
                    classes.setdefault(content, set()).add(name)
                    places.setdefault(content, set()).add(split)
    several = sum(len(one) > 1 for one in classes.values())
    told = [f"{several:,} in more than one class"] if several else []
    for one, other in (("train", "test"), ("train", "calibration"), ("calibration", "test")):
        shared = sum({one, other} <= found for found in places.values())
        told += [f"{shared:,} in both {one} and {other}"] if shared else []
    return [f"images that are there more than once: {', '.join(told)}"] if told else []


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
