"""How a workflow shares its work among ranks, the processes of one command."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

Part: TypeAlias = Sequence[object]


class Ranks(Protocol):
    """The processes that run one command together."""

    @property
    def rank(self) -> int:
        """The number of this process, from 0."""

    @property
    def count(self) -> int:
        """Number of processes."""

    def meet(self) -> None:
        """Wait until all ranks have arrived here."""

    def gathered(self, part: Part) -> list[Part]:
        """Gather what all ranks have done, once in a command; afterwards only rank 0 continues.

        Args:
            part: what this rank has done, as JSON.

        Returns:
            only on rank 0: the parts of all, in the order of ranks.

        Raises:
            PartDeliveredError: this is another rank, with nothing left to do.
        """


class Alone:
    """A single process, which does everything."""

    rank = 0
    count = 1

    def meet(self) -> None:
        """Return at once."""

    def gathered(self, part: Part) -> list[Part]:
        """Return the only part."""
        return [part]


ALONE = Alone()
