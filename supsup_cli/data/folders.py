"""A folder of class folders as a task: FOLDER/CLASS/IMAGE, or FOLDER/train/… and FOLDER/test/….

The layout with `train` (and, if there, `test`) is taken when `train` holds folders and no
images of its own; a class may thus be called "train". Without a `test` folder a seeded 15 % of
each class is held out. Broken images are listed, not fatal.
"""

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from supsup_cli.data.images import read_images
from supsup_cli.data.sources import EXTENSIONS, walk_images
from supsup_cli.data.splits import (
    TEST_DRAW,
    InputShape,
    Split,
    TaskData,
    TestData,
    generator,
    part_calibration,
)
from supsup_cli.errors import ImageError, NoInputError, UsageError

_TEST_SHARE = 0.15
_PART = 512

_Files = dict[str, list[str]]
_Broken = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Listing:
    """Hold each class's files (`test` None: to be held out) and the empty class folders."""

    classes: tuple[str, ...]
    train: _Files
    test: _Files | None
    empty: _Broken


def load_folder(folder: Path, input_shape: InputShape, seed: int, digest: str) -> TaskData:
    """Read a folder of class folders as a task; classes count from output 0.

    Classes come in order of names, in order of numbers if all names are numbers. Test and
    calibration may be empty when there are few images.

    Args:
        folder: the folder, absolute.
        input_shape: (C, H, W) that images are fitted to.
        seed: of the shares held out for test and calibration.
        digest: what `folder_digest` leads to, 64 hex digits.

    Raises:
        NoInputError: fewer than two classes, or a class without a usable training image.
        UsageError: a class name that cannot be written down.
    """
    listing = _list(folder)
    train_files, test_files = _part_test(listing, seed)
    images, labels, broken = _read(listing.classes, train_files, input_shape)
    for label, name in enumerate(listing.classes):
        if not np.any(labels == label):
            raise NoInputError(
                f"{folder}: class {name!r} has no usable training image, expected at least 1 "
                f"({len(train_files[name])} found, all broken)",
                hint=_layout(folder),
            )
    test_images, test_labels, test_broken = _read(listing.classes, test_files, input_shape)
    train, calibration = part_calibration(images, labels, seed)
    return TaskData(
        name=folder.name,
        classes=listing.classes,
        outputs=tuple(range(len(listing.classes))),
        train=train,
        calibration=calibration,
        test=Split(test_images, test_labels),
        digest=digest,
        source=str(folder),
        broken=listing.empty + broken + test_broken,
    )


def load_folder_test(folder: Path, input_shape: InputShape, seed: int) -> TestData:
    """Read only the test images; `seed` must be the task's for the same share to be held out.

    Raises:
        NoInputError: fewer than two classes, or no usable test image.
        UsageError: a class name that cannot be written down.
    """
    listing = _list(folder)
    _, files = _part_test(listing, seed)
    images, labels, broken = _read(listing.classes, files, input_shape)
    if not len(labels):
        raise NoInputError(
            f"{folder}: 0 usable test images, expected at least 1 (more images per class, or a "
            "test folder)",
            hint=_layout(folder),
        )
    outputs = tuple(range(len(listing.classes)))
    source = str(folder)
    return TestData(
        folder.name, listing.classes, outputs, Split(images, labels), source, listing.empty + broken
    )


def folder_classes(folder: Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Name the classes of a folder and the output of each, without reading an image.

    Raises:
        NoInputError: fewer than two classes.
        UsageError: a class name that cannot be written down.
    """
    classes = _list(folder).classes
    return classes, tuple(range(len(classes)))


def folder_digest(folder: Path) -> str:
    """Digest a folder's image files, broken ones included, decoding none.

    Returns:
        SHA-256, 64 hex digits, over the sorted (split, class, file name, SHA-256 of its bytes).

    Raises:
        NoInputError: fewer than two classes.
        UsageError: a class name that cannot be written down.
    """
    listing = _list(folder)
    whole = listing.test is None
    rows = [
        [split, name, Path(path).relative_to(folder).as_posix(), _file_digest(path)]
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
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _list(folder: Path) -> _Listing:
    nested = _is_split(folder / "train")
    train = _classes(folder / "train" if nested else folder)
    test = _classes(folder / "test") if nested and _is_split(folder / "test") else None
    names = sorted({*train, *(test or {})})
    if all(name.isascii() and name.isdigit() for name in names):
        names.sort(key=lambda name: (int(name), name))
    classes = [name for name in names if train.get(name) or (test or {}).get(name)]
    for name in classes:
        if any(unicodedata.category(mark) in ("Cc", "Cs", "Zl", "Zp") for mark in name):
            raise UsageError(
                f"{folder}: class folder {name!r} has control characters or bytes that are no "
                "text, expected a plain name"
            )
        if not train.get(name):
            raise NoInputError(
                f"{folder}: class {name!r} has 0 images under train and "
                f"{len((test or {})[name])} under test, expected at least 1 under train",
                hint=_layout(folder),
            )
    if len(classes) < 2:
        raise NoInputError(
            f"{folder}: {len(classes)} class folders with images, expected at least 2",
            hint=_layout(folder),
        )
    empty = tuple(
        (str(folder / name), "a class folder without images, left out")
        for name in names
        if name not in classes
    )
    return _Listing(
        tuple(classes),
        {name: train[name] for name in classes},
        None if test is None else {name: test.get(name, []) for name in classes},
        empty,
    )


def _layout(folder: Path) -> str:
    return f"lay images out as {folder}/CLASS/IMAGE.png, or {folder}/train/CLASS/IMAGE.png"


def _is_split(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    entries = [entry for entry in _entries(folder) if not entry.name.startswith(".")]
    has_images = any(
        entry.name.lower().endswith(EXTENSIONS) and not entry.is_dir() for entry in entries
    )
    return not has_images and any(entry.is_dir() for entry in entries)


def _classes(folder: Path) -> _Files:
    return {
        entry.name: list(walk_images(str(entry)))
        for entry in _entries(folder)
        if entry.is_dir() and not entry.name.startswith(".")
    }


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise NoInputError(f"{folder}: folder cannot be read ({error.strerror})") from error


def _part_test(listing: _Listing, seed: int) -> tuple[_Files, _Files]:
    if listing.test is not None:
        return listing.train, listing.test
    draws = generator(seed, TEST_DRAW)
    train: _Files = {}
    test: _Files = {}
    for name in listing.classes:
        paths = listing.train[name]
        order = draws.permutation(len(paths))
        share = max(1, round(_TEST_SHARE * len(paths))) if len(paths) > 1 else 0
        test[name] = [paths[place] for place in sorted(order[:share])]
        train[name] = [paths[place] for place in sorted(order[share:])]
    return train, test


def _read(
    classes: Sequence[str], files: _Files, input_shape: InputShape
) -> tuple[NDArray[np.uint8], NDArray[np.int64], _Broken]:
    paths = [path for name in classes for path in files[name]]
    wanted = np.repeat(np.arange(len(classes)), [len(files[name]) for name in classes])
    images = np.empty((len(paths), *input_shape), dtype=np.uint8)
    labels: list[int] = []
    broken: list[tuple[str, str]] = []
    # in parts, so that the decoded images never lie in memory twice
    parts = (paths[start : start + _PART] for start in range(0, len(paths), _PART))
    results = (result for part in parts for result in read_images(part, input_shape))
    for path, label, result in zip(paths, wanted.tolist(), results, strict=True):
        if isinstance(result, ImageError):
            broken.append((path, result.reason))
        else:
            images[len(labels)] = result
            labels.append(label)
    return images[: len(labels)], np.array(labels, dtype=np.int64), tuple(broken)
