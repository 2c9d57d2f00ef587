"""Rows of many tasks in columns, so that opening a bank makes an object of none of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bank_format.disk.stamps import Stamp
from bank_format.encoding.sealed import SEAL_SIZE
from bank_format.index.rows import NO_FILE, NO_SEAL, ListRow, TaskFile

__all__ = ["DIGESTS", "NUMBERS", "TEXTS", "ListRows", "joined_lists", "list_of"]

Numbers: TypeAlias = NDArray[np.int64]
Bytes: TypeAlias = NDArray[np.uint8]

# What a row has of each: see the attributes of `ListRows`.
TEXTS, NUMBERS, DIGESTS = 5, 14, 4


@dataclass(frozen=True, eq=False)
class ListRows(Mapping[str, ListRow]):
    """The rows of N distinct tasks, sorted by their names; see `ListRow`.

    Attributes:
        texts: five columns of N: task, kind, data, recipe, created.
        numbers: (N, 14) int64: size, time and inode of its file, the same of a signature made
            later, then `features`, `sparse`, `classes`, `steps`, `seed`, `ones`, `correct`,
            `images`.
        digests: (N, 4, 32) uint8: seal of its file, of a signature made later, digests of its
            content and its data.
        samples: (N, S) uint8.
    """

    texts: Sequence[Sequence[str]]
    numbers: Numbers
    digests: Bytes
    samples: Bytes

    @property
    def names(self) -> Sequence[str]:
        """The tasks' names."""
        return self.texts[0]

    @property
    def stamps(self) -> Numbers:
        """Stamps of the files: (N, 3) int64."""
        return self.numbers[:, :3]

    @property
    def later_stamps(self) -> Numbers:
        """Stamps of signatures made later: (N, 3) int64."""
        return self.numbers[:, 3:6]

    @property
    def has_later(self) -> NDArray[np.bool_]:
        """Which rows tell of a signature made later: (N,) bool."""
        told: NDArray[np.bool_] = np.logical_or.reduce(self.digests[:, 1] != 0, axis=1)
        return told

    @property
    def features(self) -> Numbers:
        """Numbers for each image that a signature speaks of: (N,) int64, 0 for none."""
        return self.numbers[:, 6]

    @property
    def classes(self) -> Numbers:
        """Classes of each task: (N,) int64."""
        return self.numbers[:, 8]

    @property
    def signature_seals(self) -> Bytes:
        """Seals of the files that the signatures stand in: (N, 32) uint8."""
        own, later = self.digests[:, 0], self.has_later
        return np.where(later[:, None], self.digests[:, 1], own) if later.any() else own

    @property
    def steps(self) -> Numbers:
        """Optimiser steps of each task: (N,) int64."""
        return self.numbers[:, 9]

    @property
    def sizes(self) -> Numbers:
        """Bytes of each task's file: (N,) int64."""
        return self.numbers[:, 0]

    @property
    def accuracies(self) -> list[float | None]:
        """Share of test images that each task classifies rightly, 0…1; None if unknown."""
        counts = zip(self.numbers[:, 12].tolist(), self.numbers[:, 13].tolist(), strict=True)
        return [correct / images if images else None for correct, images in counts]

    @property
    def created(self) -> Sequence[str]:
        """When each was learned, UTC."""
        return self.texts[4]

    @property
    def kinds(self) -> Sequence[str]:
        """Kinds of the files."""
        return self.texts[1]

    @property
    def content_digests(self) -> Bytes:
        """Digests of the contents: (N, 32) uint8."""
        return self.digests[:, 2]

    @property
    def seeds(self) -> Numbers:
        """Seed that each was learned with: (N,) int64."""
        return self.numbers[:, 10]

    @property
    def ones(self) -> Numbers:
        """Weights that each task's masks keep: (N,) int64."""
        return self.numbers[:, 11]

    @property
    def data_digests(self) -> Bytes:
        """Digests of what each was learned from: (N, 32) uint8."""
        return self.digests[:, 3]

    def at(self, place: int) -> ListRow:
        """Make a row of what stands in a place."""
        *stamps, features, sparse, classes, steps, seed, ones, correct, images = self.numbers[
            place
        ].tolist()
        seal, later, content, data = map(bytes, self.digests[place])
        task, kind, name, recipe, created = (column[place] for column in self.texts)
        return ListRow(
            task,
            kind,
            name,
            recipe,
            created,
            TaskFile(seal, Stamp(*stamps[:3])),
            NO_FILE if later == NO_SEAL else TaskFile(later, Stamp(*stamps[3:])),
            features,
            content,
            data,
            bool(sparse),
            classes,
            steps,
            seed,
            ones,
            correct,
            images,
            bytes(self.samples[place]),
        )

    def take(self, places: NDArray[np.int64]) -> "ListRows":
        """Take some rows, in the order given."""
        if len(places) == len(self) and np.array_equal(places, np.arange(len(self))):
            return self
        here = places.tolist()
        return ListRows(
            [[column[place] for place in here] for column in self.texts],
            self.numbers[places],
            self.digests[places],
            self.samples[places],
        )

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Task → its place."""
        return dict(zip(self.names, range(len(self)), strict=True))

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, task: object) -> bool:
        """Return whether a task has a row."""
        return task in self.places

    def __getitem__(self, task: str) -> ListRow:
        """Make the row of a task.

        Raises:
            KeyError: it has none.
        """
        return self.at(self.places[task])


def list_of(rows: Sequence[ListRow], sample: int) -> ListRows:
    """Lay rows of distinct tasks side by side, sorted by name.

    Args:
        rows: in any order.
        sample: bytes that each keeps of its masks.
    """
    rows = sorted(rows, key=lambda row: row.task)
    numbers = (
        (*row.file.stamp, *row.later.stamp, row.features, row.sparse, *row[11:17]) for row in rows
    )
    digests = (
        digest
        for row in rows
        for digest in (row.file.seal, row.later.seal, row.content_sha256, row.data_sha256)
    )
    flat = np.fromiter(chain.from_iterable(numbers), np.int64, NUMBERS * len(rows))
    return ListRows(
        [*map(list, zip(*(row[:TEXTS] for row in rows), strict=True))] or [[]] * TEXTS,
        flat.reshape(-1, NUMBERS),
        np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGESTS, SEAL_SIZE),
        np.frombuffer(b"".join(row.sample for row in rows), np.uint8).reshape(len(rows), sample),
    )


def joined_lists(parts: Sequence[ListRows]) -> ListRows:
    """Lay rows of distinct tasks side by side, at least one part, sorted by name."""
    filled = [part for part in parts if len(part)]
    if len(filled) < 2:
        return filled[0] if filled else parts[0]
    every = ListRows(
        [
            [*chain.from_iterable(columns)]
            for columns in zip(*(p.texts for p in filled), strict=True)
        ],
        np.concatenate([part.numbers for part in filled]),
        np.concatenate([part.digests for part in filled]),
        np.concatenate([part.samples for part in filled]),
    )
    return every.take(np.array(sorted(range(len(every)), key=every.names.__getitem__), np.int64))
