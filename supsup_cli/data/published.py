"""CIFAR-10 and CIFAR-100 in tasks of a few classes each: through torchvision, or as class folders.

Both ways give the same tasks: class folders, sorted by name, stand for the published labels. Their
digests differ, because class folders do not record the order in which images were published.

torchvision reads the published files only if their MD5 is right: they are pickles, and other bytes
could run any code.
"""

import hashlib
import io
import shlex
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supsup_cli.data.folders.class_folders import Listing
from supsup_cli.data.folders.loading import ListedData
from supsup_cli.data.folders.named_classes import class_names, list_chosen
from supsup_cli.data.images import fit_images
from supsup_cli.data.names import Variant
from supsup_cli.data.reading import Reading
from supsup_cli.data.splits import HeldOutData, InputShape, Split, TaskData, part_calibration
from supsup_cli.errors import NoInputError, StorageError
from supsup_cli.temporary import imports_without_temporary_folder

_NATIVE: InputShape = (3, 32, 32)

_Order = Callable[[], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Published:
    """Describe one data set: torchvision's class, classes of a task, their seeded order.

    `folder` is where torchvision keeps it, `images` where class folders lie.
    """

    kind: str
    folder: str
    images: str
    classes: int
    order: _Order


SETS = {
    "cifar10-split": Published(
        "CIFAR10", "cifar-10-batches-py", "cifar10", 2, lambda: np.arange(10)
    ),
    # Wortsman et al. 2020, section 4.1: 20 tasks of 5 random classes
    "cifar100-split": Published(
        "CIFAR100",
        "cifar-100-python",
        "cifar100",
        5,
        lambda: np.random.RandomState(0).permutation(100),
    ),
}


def published_data(variant: Variant, reading: Reading) -> "PublishedData | ListedData":
    """Open one task, from torchvision's files or, if those are missing, from class folders."""
    one = SETS[variant.form]
    root = reading.folder
    folder = root / one.images
    if reading.root and not (root / one.folder).is_dir() and (folder / "train").is_dir():
        name = str(variant)
        files = partial(_list_task, variant, folder)
        return ListedData(name, name, files, reading, native_shape=_NATIVE)
    return PublishedData(variant, reading)


def _list_task(variant: Variant, folder: Path) -> Listing:
    """List the files of one task's classes.

    Raises:
        NoInputError: the number of class folders is not the data set's, or there is no test.
    """
    one = SETS[variant.form]
    order = one.order()
    for split in ("train", "test"):
        found = class_names(folder / split)
        if len(found) != len(order):
            raise NoInputError(
                f"{folder / split}: {len(found)} class folders found, expected the {len(order)} of "
                f"{one.kind}",
                hint=f"unpack {one.kind} as {folder}/train/CLASS/IMAGE.png and "
                f"{folder}/test/CLASS/IMAGE.png",
            )
    names = class_names(folder / "train")
    number = int(variant.number)
    chosen = order[one.classes * number : one.classes * (number + 1)].tolist()
    return list_chosen(folder, "train", "test", [names[place] for place in chosen])


@dataclass(frozen=True)
class PublishedData:
    """A few classes of a published data set, from output 0 on.

    Attributes:
        variant: its form is a key of `SETS`; its number says which classes of the order.
        reading: where the files are, and whether they may be fetched.
        native_shape: (C, H, W) of the images.
    """

    variant: Variant
    reading: Reading
    native_shape: InputShape = _NATIVE

    def classes(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Name the classes and the output of each.

        Raises:
            NoInputError: the files are missing, or are not the published ones.
            StorageError: they cannot be read or fetched.
        """
        *_, names = self._half(train=False)
        return names, tuple(range(len(names)))

    def source_digest(self) -> str:
        """Digest the whole set's images and labels, both halves: SHA-256, 64 hex digits."""
        form = self.variant.form
        return _digest(form, self.reading, _stamp(form, self.reading))

    def load(self, input_shape: InputShape, seed: int, digest: str) -> TaskData:
        """Load the three splits; see `catalog.load`."""
        test = self.load_test(input_shape, seed)
        images, labels, _ = self._half(train=True)
        train, calibration = part_calibration(fit_images(images, input_shape), labels, seed)
        return TaskData(
            test.name, test.classes, test.outputs, train, calibration, test.test, digest
        )

    def load_test(self, input_shape: InputShape, _seed: int) -> HeldOutData:
        """Load the test split alone; see `catalog.load_test`."""
        images, labels, names = self._half(train=False)
        test = Split(fit_images(images, input_shape), labels)
        return HeldOutData(str(self.variant), names, tuple(range(len(names))), test)

    def _half(self, *, train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
        """Return images (N, 3, 32, 32) uint8, labels (N,) int64 from 0 on, and class names."""
        form, index = self.variant.form, int(self.variant.number)
        images, targets, names = _half(form, self.reading, train, _stamp(form, self.reading))
        one = SETS[form]
        chosen = one.order()[one.classes * index : one.classes * (index + 1)]
        places = np.flatnonzero(np.isin(targets, chosen))
        labels = np.argmax(targets[places, None] == chosen, axis=1).astype(np.int64)
        return images[places], labels, tuple(names[number] for number in chosen.tolist())


def missing_root(form: str) -> NoInputError:
    """Report that a data set needs a folder, and none was named."""
    return NoInputError(
        f"{form}-I: no folder of data sets found, expected --data-root FOLDER or SUPSUP_DATA",
        hint=f"supsup learn-task --data {form}-0 --data-root FOLDER"
        + (" --download" if form in SETS else ""),
    )


@lru_cache(maxsize=2)
def _half(
    form: str, reading: Reading, train: bool, _stamp: object
) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    found = _open(form, reading, train)
    images = np.ascontiguousarray(np.asarray(found.data, dtype=np.uint8).transpose(0, 3, 1, 2))
    return images, np.asarray(found.targets, dtype=np.int64), tuple(map(str, found.classes))


@lru_cache(maxsize=8)
def _digest(form: str, reading: Reading, stamp: object) -> str:
    digest = hashlib.sha256()
    for train in (True, False):
        images, targets, _ = _half(form, reading, train, stamp)
        digest.update(images.data)
        digest.update(targets.data)
    return digest.hexdigest()


def _open(form: str, reading: Reading, train: bool) -> Any:  # of torchvision, which has no types
    with imports_without_temporary_folder():
        import torchvision.datasets

    one = SETS[form]
    place = reading.folder / one.folder
    try:
        # its messages about a download would be printed before the answer
        with redirect_stdout(io.StringIO()):
            kind = getattr(torchvision.datasets, one.kind)
            return kind(reading.root, train=train, download=reading.download)
    except OSError as error:
        raise StorageError(
            f"{place}: {one.kind} cannot be read or fetched ({error})",
            hint="check the disk and the network, or put the files there by hand",
        ) from error
    except Exception as error:  # torchvision's RuntimeError, or whatever error damaged bytes cause
        raise NoInputError(
            f"{place}: {'damaged files' if place.is_dir() else 'nothing there'} found, expected "
            f"{one.kind} as it was published, or its class folders in {one.images} beside it "
            f"({' '.join(str(error).split())[:120]})",
            hint=f"supsup learn-task --data {form}-0 --data-root {shlex.quote(reading.root)} "
            "--download",
        ) from error


def _stamp(form: str, reading: Reading) -> tuple[tuple[str, int, int], ...]:
    """Return names, sizes and times of the files, which change when others take their place."""
    if not reading.root:
        raise missing_root(form)
    folder = reading.folder / SETS[form].folder
    try:
        found = [(one.name, one.stat()) for one in folder.iterdir()]
    except OSError:
        return ()  # missing: torchvision fetches them or refuses
    return tuple(sorted((name, status.st_size, status.st_mtime_ns) for name, status in found))
