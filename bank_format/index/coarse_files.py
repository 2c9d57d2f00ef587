"""Coarse signatures of many tasks at once, from the index's files."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bank_format.bank import Bank
from bank_format.errors import BankError
from bank_format.index.coarse import CoarseRows, joined_rows
from bank_format.index.part_files import part_of
from bank_format.index.signature_part import parse_signatures
from bank_format.index.survey import read_index_file

__all__ = ["CoarseIndex", "read_coarse"]


class CoarseIndex:
    """The signatures that the index's files hold, found by the seals of the files they are of.

    Args:
        parts: rows of all files, of one D.
    """

    def __init__(self, parts: Sequence[CoarseRows]) -> None:
        self._rows = joined_rows(parts) if parts else None

    @cached_property
    def _places(self) -> dict[bytes, int]:
        found = () if self._rows is None else map(bytes, self._rows.seals)
        return {seal: place for place, seal in enumerate(found)}

    def find(self, seals: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Find the signatures of files of some seals, (N, 32) uint8: their places, −1 for none."""
        if self._rows is not None and np.array_equal(seals, self._rows.seals):
            return np.arange(len(seals))
        return np.fromiter(
            (self._places.get(bytes(seal), -1) for seal in seals), np.int64, len(seals)
        )

    def take(self, places: NDArray[np.int64]) -> CoarseRows | None:
        """Return the rows of some places, in this order; None for none."""
        return None if self._rows is None or not len(places) else self._rows.take(places)


def read_coarse(
    bank: Bank, names: Sequence[str], features: int
) -> tuple[list[CoarseRows], dict[str, BankError]]:
    """Read the signatures of some files of the index, each checked in full.

    Args:
        bank: the bank.
        names: of the files; those of lists are passed over.
        features: D that is wanted.

    Returns:
        what they hold, and what is wrong with files that are done without.
    """
    parts: list[CoarseRows] = []
    faults: dict[str, BankError] = {}
    for name in names:
        if part_of(name) != "signatures":
            continue
        try:
            data = read_index_file(bank.path, name)
            if data is None:
                continue
            rows = parse_signatures(data, bank.record, str(bank.path / name))
        except BankError as error:
            faults[name] = error
            continue
        if rows.features == features:
            parts.append(rows)
    return parts, faults
