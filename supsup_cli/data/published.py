"""CIFAR-10 and CIFAR-100 through torchvision, parted into tasks of a few classes each.

torchvision reads the published files only if their MD5 is the published one: they are pickles, and
other bytes of that name could do anything.
"""

import hashlib
import io
import shlex
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supsup_cli.data.reading import Reading
from supsup_cli.errors import NoInputError, StorageError
from supsup_cli.temporary import imports_without_temporary_folder

_Order = Callable[[], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Published:
    """Describe one data set: torchvision's class, classes of a task, their seeded order."""

    kind: str
    folder: str
    classes: int
    order: _Order


SETS = {
    "cifar10-split": Published("CIFAR10", "cifar-10-batches-py", 2, lambda: np.arange(10)),
    # Wortsman et al. 2020, section 4.1: 20 tasks of 5 random classes
    "cifar100-split": Published(
        "CIFAR100", "cifar-100-python", 5, lambda: np.random.RandomState(0).permutation(100)
    ),
}


def load_published(
    form: str, index: int, reading: Reading, *, train: bool
) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Load one task's half of a published data set.

    Args:
        form: a key of `SETS`.
        index: which classes: the index-th few of the seeded order.
        reading: where the files lie, and whether they may be fetched.
        train: the training half, or the test half.

    Returns:
        images (N, 3, 32, 32) uint8, labels (N,) int64 from 0 on, and the classes' names.

    Raises:
        NoInputError: the files are not there, or are not the published ones.
        StorageError: they cannot be read or fetched.
    """
    images, targets, names = _half(form, reading, train, _stamp(form, reading))
    one = SETS[form]
    chosen = one.order()[one.classes * index : one.classes * (index + 1)]
    places = np.flatnonzero(np.isin(targets, chosen))
    labels = np.argmax(targets[places, None] == chosen, axis=1).astype(np.int64)
    return images[places], labels, tuple(names[number] for number in chosen.tolist())


def published_digest(form: str, reading: Reading) -> str:
    """Digest a published data set's images and labels, both halves.

    Returns:
        SHA-256, 64 hex digits.

    Raises:
        NoInputError, StorageError: see `load_published`.
    """
    return _digest(form, reading, _stamp(form, reading))


def missing_root(form: str) -> NoInputError:
    """Say that a data set needs a folder, and nobody named one."""
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
    place = Path(reading.root).expanduser() / one.folder
    try:
        # what it says of a download would stand before the answer
        with redirect_stdout(io.StringIO()):
            kind = getattr(torchvision.datasets, one.kind)
            return kind(reading.root, train=train, download=reading.download)
    except OSError as error:
        raise StorageError(
            f"{place}: {one.kind} cannot be read or fetched ({error})",
            hint="check the disk and the network, or put the files there by hand",
        ) from error
    except Exception as error:  # torchvision's RuntimeError, or whatever damaged bytes raise
        raise NoInputError(
            f"{place}: {'damaged files' if place.is_dir() else 'nothing there'} found, expected "
            f"{one.kind} as it was published ({' '.join(str(error).split())[:120]})",
            hint=f"supsup learn-task --data {form}-0 --data-root {shlex.quote(reading.root)} "
            "--download",
        ) from error


def _stamp(form: str, reading: Reading) -> tuple[tuple[str, int, int], ...]:
    """Tell the files apart from others that lay there before, without reading them."""
    if not reading.root:
        raise missing_root(form)
    folder = Path(reading.root).expanduser() / SETS[form].folder
    try:
        found = [(one.name, one.stat()) for one in folder.iterdir()]
    except OSError:
        return ()  # not there: for torchvision to fetch or refuse
    return tuple(sorted((name, status.st_size, status.st_mtime_ns) for name, status in found))
