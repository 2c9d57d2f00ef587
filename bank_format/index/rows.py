"""A row of the index: what lists show of a task, and what tells that its file is still the one."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bank_format.disk.stamps import Stamp
from bank_format.encoding.bits import count_ones
from bank_format.encoding.sealed import SEAL_SIZE
from bank_format.kinds.bank_json import BankSpec
from bank_format.kinds.mask import Task

__all__ = ["NO_FILE", "NO_SEAL", "NO_STAMP", "ListRow", "TaskFile", "row_of", "sample_size"]

NO_SEAL: Final = bytes(SEAL_SIZE)
NO_STAMP: Final = Stamp(0, 0, 0)
# Bytes of a mask that a row keeps, so that masks can be compared without being read: evenly spaced.
_SAMPLE = 1024


class TaskFile(NamedTuple):
    """A file as it stands in the bank: its last 32 bytes, and its stamp."""

    seal: bytes
    stamp: Stamp


NO_FILE: Final = TaskFile(NO_SEAL, NO_STAMP)


class ListRow(NamedTuple):
    """What is known of a task without its file being opened.

    Args:
        task: its name.
        kind: of its file.
        data: the name of what it was learned from.
        recipe: the name of how.
        created: UTC, as in its provenance.
        file: its own.
        later: the file of a signature made later; `NO_FILE` where that says nothing of the task.
        features: numbers for each image that its signature speaks of; 0 where it has none that
            this reader can use.
        content_sha256: digest of its content, 32 bytes.
        data_sha256: digest of what it was learned from, 32 bytes.
        sparse: whether its masks keep a chosen share of each layer.
        classes: how many.
        steps: optimiser steps taken.
        seed: of the learning.
        ones: weights that its masks keep.
        correct: test images classified rightly; 0 where that is not known.
        images: of so many; 0 where that is not known.
        sample: bytes of its packed masks, see `_sample_of`.
    """

    task: str
    kind: str
    data: str
    recipe: str
    created: str
    file: TaskFile
    later: TaskFile
    features: int
    content_sha256: bytes
    data_sha256: bytes
    sparse: bool
    classes: int
    steps: int
    seed: int
    ones: int
    correct: int
    images: int
    sample: bytes

    @property
    def accuracy(self) -> float | None:
        """The share of test images classified rightly, the task given, 0..1; None if unknown."""
        return self.correct / self.images if self.images else None

    @property
    def signature_seal(self) -> bytes:
        """The seal of the file that its signature stands in."""
        return self.file.seal if self.later == NO_FILE else self.later.seal


def row_of(task: Task, file: TaskFile, later: TaskFile, features: int) -> ListRow:
    """Make a task's row.

    Args:
        task: as read and checked.
        file: its file.
        later: of a signature made later that is this task's; `NO_FILE` where there is none, or
            the task's own file has one.
        features: see `ListRow`.
    """
    content, accuracy = task.content, task.content.accuracy
    return ListRow(
        task=content.task,
        kind=content.kind,
        data=content.data.name,
        recipe=content.recipe.name,
        created=task.provenance.created,
        file=file,
        later=later,
        features=features,
        content_sha256=bytes.fromhex(task.content_sha256),
        data_sha256=bytes.fromhex(content.data.digest),
        sparse=task.sparse,
        classes=len(content.classes),
        steps=content.steps,
        seed=content.seed,
        ones=sum(map(count_ones, task.masks.values())),
        correct=accuracy.correct if accuracy else 0,
        images=accuracy.images if accuracy else 0,
        sample=_sample_of(np.concatenate(list(task.masks.values()))).tobytes(),
    )


def sample_size(spec: BankSpec) -> int:
    """Return how many bytes of its masks a row keeps: 1024, or all where there are fewer."""
    return min(_SAMPLE, spec.mask_bytes)


def _sample_of(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Take bytes of a packed mask at even distances: byte ⌊i n / s⌋ of n for i from 0 to s − 1."""
    size = min(_SAMPLE, len(packed))
    return packed[np.arange(size) * len(packed) // size]
