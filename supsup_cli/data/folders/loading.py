"""Read a folder of class folders as a task; hold shares out if it has no split.

`layouts` decides what the folder means. Without a test folder, a seeded 15 % of each class is held
out. Broken images are listed and do not stop anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
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
from supsup_cli.data.folders.digests import listing_digest, notes_of_equals
from supsup_cli.data.folders.layouts import layout_hint
from supsup_cli.data.image_buffer import make_image_buffer
from supsup_cli.data.images import read_images
from supsup_cli.data.reading import DEFAULT, Reading
from supsup_cli.data.splits import (
    FEWEST_TO_CALIBRATE,
    TEST_DRAW,
    HeldOutData,
    InputShape,
    Split,
    TaskData,
    generator,
    held_out_count,
    part_calibration,
)
from supsup_cli.errors import ImageError, NoInputError

_PART = 512


@dataclass(frozen=True)
class ListedData:
    """A task's data in class folders; classes count from output 0.

    Classes are sorted by name, or by number if all names are numbers, unless their list has another
    order. Test and calibration may be empty if there are few images.

    Attributes:
        name: the data's name.
        variant: replaces the name in the digest; the same for every folder, wherever it is.
        list_files: finds classes and files; called once, when they are first needed.
        reading: an image with more pixels counts as broken.
        source: the folder's path, which a task records; "" for named data.
        native_shape: (C, H, W) of exported images.
    """

    name: str
    variant: str
    list_files: Callable[[], Listing]
    reading: Reading = DEFAULT
    source: str = ""
    native_shape: InputShape = (3, 224, 224)

    @cached_property
    def listing(self) -> Listing:
        """Classes and files; raises what `list_classes` raises."""
        return self.list_files()

    def classes(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Name the classes and the output of each, without reading an image."""
        return self.listing.classes, tuple(range(len(self.listing.classes)))

    def source_digest(self) -> str:
        """Digest the files, see `listing_digest`."""
        return listing_digest(self.listing)

    def load(self, input_shape: InputShape, seed: int, digest: str) -> TaskData:
        """Read all images.

        Args:
            input_shape: (C, H, W) that images are fitted to.
            seed: of the shares held out for test and calibration.
            digest: of the data and the shape, 64 hex digits.

        Raises:
            NoInputError: fewer than two classes, or a class without a usable training image.
            UsageError: a class name that cannot be written down.
            StorageError: there is no room for the decoded images.
        """
        listing, reading = self.listing, self.reading
        train_files, test_files = _part_test(listing, seed)
        images, labels, broken = _read(listing.classes, train_files, input_shape, reading)
        for label, one in enumerate(listing.classes):
            if not np.any(labels == label):
                raise NoInputError(
                    f"{listing.folder}: class {one!r} has no usable training image, expected at "
                    f"least 1 ({len(train_files[one])} found, all broken)",
                    hint=layout_hint(listing.folder),
                )
        test_images, test_labels, test_broken = _read(
            listing.classes, test_files, input_shape, reading
        )
        if listing.calibration is None:
            train, calibration = part_calibration(images, labels, seed, in_place=True)
        else:
            train = Split(images, labels)
            files, labels, more = _read(listing.classes, listing.calibration, input_shape, reading)
            calibration = Split(files, labels)
            test_broken = more + test_broken
        twentieth = (len(train) + len(calibration)) // 20
        share = "5 % of train" if len(calibration) == twentieth else "of train"
        parts = (
            f"train {len(train):,}, calibration {len(calibration):,} "
            f"({_origin(listing.calibration_folder, share)}), test {len(test_labels):,} "
            f"({_origin(listing.test_folder, '15 % of each class')})"
        )
        halves = {
            "train": train_files,
            "test": test_files,
            "calibration": listing.calibration or {},
        }
        return TaskData(
            name=self.name,
            classes=listing.classes,
            outputs=tuple(range(len(listing.classes))),
            train=train,
            calibration=calibration,
            test=Split(test_images, test_labels),
            digest=digest,
            source=self.source,
            broken=listing.broken + broken + test_broken,
            parts=parts,
            notes=(*listing.notes, *notes_of_equals(halves), *_note_of_few(calibration)),
        )

    def load_test(self, input_shape: InputShape, seed: int) -> HeldOutData:
        """Read only the test images; `seed` must be the task's, so that the same share is held out.

        Raises:
            NoInputError: fewer than two classes, or no usable test image.
            UsageError: a class name that cannot be written down.
        """
        listing = self.listing
        _, files = _part_test(listing, seed)
        images, labels, broken = _read(listing.classes, files, input_shape, self.reading)
        if not len(labels):
            raise NoInputError(
                f"{listing.folder}: 0 usable test images, expected at least 1 (more images per "
                "class, or a test folder)",
                hint=layout_hint(listing.folder),
            )
        outputs = tuple(range(len(listing.classes)))
        test = Split(images, labels)
        unread = {path for path, _ in broken}
        paths = (path for one in listing.classes for path in files[one])
        return HeldOutData(
            self.name,
            listing.classes,
            outputs,
            test,
            self.source,
            listing.broken + broken,
            files=tuple(path for path in paths if path not in unread),
        )


def folder_data(folder: Path, reading: Reading = DEFAULT) -> ListedData:
    """Open an absolute folder by today's rules, or by the first rule."""
    rule = list_by_first_rule if reading.first_rule else list_classes
    return ListedData(folder.name, "folder", partial(rule, folder), reading, str(folder))


def _note_of_few(calibration: Split) -> tuple[str, ...]:
    """Warn of a task that will claim every image, with what to do."""
    if len(calibration) >= FEWEST_TO_CALIBRATE:
        return ()
    return (
        f"{len(calibration)} calibration images, {FEWEST_TO_CALIBRATE} needed to tell which images "
        "are new: this task will claim every image; add images, or folders `valid` and `test`",
    )


def _origin(folder: str, share: str) -> str:
    return f"folder {folder}" if folder else share


def _part_test(listing: Listing, seed: int) -> tuple[Files, Files]:
    if listing.test is not None:
        return listing.train, listing.test
    draws = generator(seed, TEST_DRAW)
    train: Files = {}
    test: Files = {}
    for name in listing.classes:
        paths = listing.train[name]
        order = draws.permutation(len(paths))
        share = held_out_count(len(paths))
        test[name] = [paths[place] for place in sorted(order[:share])]
        train[name] = [paths[place] for place in sorted(order[share:])]
    return train, test


def _read(
    classes: Sequence[str], files: Files, input_shape: InputShape, reading: Reading
) -> tuple[NDArray[np.uint8], NDArray[np.int64], Broken]:
    paths = [path for name in classes for path in files[name]]
    wanted = np.repeat(np.arange(len(classes)), [len(files[name]) for name in classes])
    images = make_image_buffer(len(paths), input_shape)
    labels: list[int] = []
    broken: list[tuple[str, str]] = []
    # in parts, so that the decoded images are never in memory twice
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
