"""Rows of many tasks in columns, so that opening a bank makes an object of none of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bank_format.by_name import ByName
from bank_format.disk.stamps import Stamp
from bank_format.encoding.sealed import SEAL_SIZE
from bank_format.index.rows import NO_FILE, NO_SEAL, ListRow, TaskFile

__all__ = ["DIGESTS", "NUMBERS", "ListRows", "joined_lists", "list_of"]

Records: TypeAlias = NDArray[Any]

_TEXTS = ("task", "kind", "data", "recipe", "created")
_COUNTS = ("features", "sparse", "classes", "steps", "seed", "ones", "correct", "images")
# As FORMAT.md orders them; `file` and `later` are size, time and inode.
NUMBERS = np.dtype(
    [("file", "<i8", (3,)), ("later", "<i8", (3,)), *((name, "<i8") for name in _COUNTS)]
)
# Seals of a task's file and of a signature made later, digests of its content and its data.
DIGESTS = np.dtype([(name, "u1", (SEAL_SIZE,)) for name in ("file", "later", "content", "data")])


@dataclass(frozen=True, eq=False)
class ListRows(ByName[ListRow]):
    """The rows of N distinct tasks, sorted by their names; see `ListRow`.

    Attributes:
        kinds: of the files.
        data: names of what each was learned from.
        recipes: names of the recipes.
        created: UTC, of each.
        numbers: (N,) `NUMBERS`.
        digests: (N,) `DIGESTS`.
        samples: (N, S) uint8.
    """

    kinds: Sequence[str]
    data: Sequence[str]
    recipes: Sequence[str]
    created: Sequence[str]
    numbers: Records
    digests: Records
    samples: NDArray[np.uint8]

    @classmethod
    def of(
        cls,
        texts: Iterable[Sequence[str]],
        numbers: Records,
        digests: Records,
        samples: NDArray[np.uint8],
    ) -> "ListRows":
        """Make them of all columns of text, see `texts`, and the rest."""
        names, kinds, data, recipes, created = texts
        return cls(names, kinds, data, recipes, created, numbers, digests, samples)

    @property
    def texts(self) -> tuple[Sequence[str], ...]:
        """All columns of text, names first."""
        return self.names, self.kinds, self.data, self.recipes, self.created

    @property
    def has_later(self) -> NDArray[np.bool_]:
        """Which rows tell of a signature made later: (N,) bool."""
        told: NDArray[np.bool_] = np.logical_or.reduce(self.digests["later"] != 0, axis=1)
        return told

    @property
    def signature_seals(self) -> NDArray[np.uint8]:
        """Seals of the files that the signatures are in: (N, 32) uint8."""
        own: NDArray[np.uint8] = self.digests["file"]
        later = self.has_later
        return np.where(later[:, None], self.digests["later"], own) if later.any() else own

    @property
    def accuracies(self) -> list[float | None]:
        """Share of test images that each task classifies rightly, 0…1; None if unknown."""
        pairs = zip(*(self.numbers[name].tolist() for name in ("correct", "images")), strict=True)
        return [correct / images if images else None for correct, images in pairs]

    def at(self, place: int) -> ListRow:
        """Make a row of what is in a place."""
        numbers = {name: self.numbers[name][place].tolist() for name in NUMBERS.names or ()}
        seals = {name: self.digests[name][place].tobytes() for name in DIGESTS.names or ()}
        file = TaskFile(seals["file"], Stamp(*numbers.pop("file")))
        later = TaskFile(seals["later"], Stamp(*numbers.pop("later")))
        columns = zip(_TEXTS, self.texts, strict=True)
        texts: dict[str, Any] = {name: column[place] for name, column in columns}
        return ListRow(
            file=file,
            later=NO_FILE if later.seal == NO_SEAL else later,
            content_sha256=seals["content"],
            data_sha256=seals["data"],
            sample=self.samples[place].tobytes(),
            **texts | numbers | {"sparse": bool(numbers["sparse"])},
        )

    def take(self, places: NDArray[np.int64]) -> "ListRows":
        """Take some rows, in the order given."""
        if len(places) == len(self) and np.array_equal(places, np.arange(len(self))):
            return self
        here = places.tolist()
        texts = [[column[place] for place in here] for column in self.texts]
        return self.of(texts, self.numbers[places], self.digests[places], self.samples[places])


def list_of(rows: Sequence[ListRow], sample: int) -> ListRows:
    """Lay rows of distinct tasks side by side, sorted by name.

    Args:
        rows: in any order.
        sample: bytes that each keeps of its masks.
    """
    rows = sorted(rows, key=lambda row: row.task)
    numbers = [
        (row.file.stamp, row.later.stamp, *(getattr(row, name) for name in _COUNTS)) for row in rows
    ]
    digests = (
        digest
        for row in rows
        for digest in (row.file.seal, row.later.seal, row.content_sha256, row.data_sha256)
    )
    texts = [[getattr(row, name) for row in rows] for name in _TEXTS]
    return ListRows.of(
        texts,
        np.array(numbers, NUMBERS),
        np.frombuffer(b"".join(digests), DIGESTS),
        np.frombuffer(b"".join(row.sample for row in rows), np.uint8).reshape(len(rows), sample),
    )


def joined_lists(parts: Sequence[ListRows]) -> ListRows:
    """Lay rows of distinct tasks side by side, at least one part, sorted by name."""
    filled = [part for part in parts if len(part)]
    if len(filled) < 2:
        return filled[0] if filled else parts[0]
    texts = zip(*(part.texts for part in filled), strict=True)
    every = ListRows.of(
        [[*chain.from_iterable(columns)] for columns in texts],
        np.concatenate([part.numbers for part in filled]),
        np.concatenate([part.digests for part in filled]),
        np.concatenate([part.samples for part in filled]),
    )
    return every.take(np.array(sorted(range(len(every)), key=every.names.__getitem__), np.int64))
