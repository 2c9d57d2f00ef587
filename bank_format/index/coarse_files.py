"""Coarse signatures of many tasks at once, from the index's files."""

from collections.abc import Iterable, Sequence

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

    def __init__(self, parts: Iterable[CoarseRows]) -> None:
        self._rows: CoarseRows | None = None
        parts = list(parts)
        if parts:
            self._rows = joined_rows(parts)
        found = self._rows.seals if self._rows is not None else ()
        self._places = {seal: place for place, seal in enumerate(found)}

    def __contains__(self, seal: object) -> bool:
        """Return whether the signature of a file of that seal is there."""
        return seal in self._places

    def take(self, seals: Sequence[bytes]) -> CoarseRows | None:
        """Return the rows of some seals that are there, in this order; None for none.

        Raises:
            KeyError: one is not there.
        """
        if self._rows is None or not seals:
            return None
        return self._rows.take([self._places[seal] for seal in seals])


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
