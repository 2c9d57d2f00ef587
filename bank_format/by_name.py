"""Many things of one kind by their names, each made only when it is asked for."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

__all__ = ["ByName"]

_Value = TypeVar("_Value")


@dataclass(frozen=True, eq=False)
class ByName(Mapping[str, _Value]):
    """A mapping over columns, which subclasses add.

    Attributes:
        names: of N things, in their order.
    """

    names: Sequence[str]

    @abstractmethod
    def at(self, place: int) -> _Value:
        """Make the value of a place, 0 to N − 1."""

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Name → its place."""
        return dict(zip(self.names, range(len(self)), strict=True))

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        """Return whether there is a thing of that name; nothing is made for it."""
        return name in self.places

    def __getitem__(self, name: str) -> _Value:
        """Make the value of a name.

        Raises:
            KeyError: there is none of that name.
        """
        return self.at(self.places[name])
