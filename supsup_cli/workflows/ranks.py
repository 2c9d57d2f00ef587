"""How a workflow shares its work among ranks, the processes of one command, knowing of none."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

Part: TypeAlias = Sequence[object]


class Ranks(Protocol):
    """The processes that do one command together."""

    @property
    def rank(self) -> int:
        """The number of this process, from 0."""

    @property
    def count(self) -> int:
        """How many there are."""

    def meet(self) -> None:
        """Wait until all ranks have come here."""

    def gathered(self, part: Part) -> list[Part]:
        """Bring together what all ranks have done; once in a command, after which rank 0 goes on.

        Args:
            part: what this rank has done, as JSON can say it.

        Returns:
            rank 0 alone: the parts of all, in the order of ranks.

        Raises:
            PartDeliveredError: this rank is another, and has nothing left to do.
        """


class Alone:
    """One process, which does everything."""

    rank = 0
    count = 1

    def meet(self) -> None:
        """Wait for nobody."""

    def gathered(self, part: Part) -> list[Part]:
        """Return the only part."""
        return [part]


ALONE = Alone()
