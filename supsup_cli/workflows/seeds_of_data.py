"""Which seed a task was learned with, by the data it was learned from."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from bank_format.index.list_rows import ListRows


class SeedsOfData(Mapping[str, int]):
    """Digest of the data of each task → the seed of the task.

    Only commands that read a task's own test split ask, so that nothing is computed before.
    """

    def __init__(self, rows: ListRows) -> None:
        self._rows = rows

    @cached_property
    def _seeds(self) -> dict[str, int]:
        digests = (bytes(digest).hex() for digest in self._rows.digests["data"])
        return dict(zip(digests, self._rows.numbers["seed"].tolist(), strict=True))

    def __getitem__(self, digest: str) -> int:
        """Return the seed.

        Raises:
            KeyError: no task was learned from that.
        """
        return self._seeds[digest]

    def __iter__(self) -> Iterator[str]:
        return iter(self._seeds)

    def __len__(self) -> int:
        return len(self._seeds)
