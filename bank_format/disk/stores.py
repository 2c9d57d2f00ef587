"""Reading a bank that lies in an object store: what a store must be able to do, no more.

A bank is written in a folder and may be copied into a store, where it can be read. A store has no
folders, locks or links, and nothing here needs any: objects have names with slashes, and the file
of a task never changes. An adapter does what `Store` says and raises FileNotFoundError where there
is no such object, and another OSError where the store refused or failed in spite of retries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

__all__ = ["SEAL_BYTES", "AnyPlace", "ObjectStat", "Place", "Store", "StorePath"]

SEAL_BYTES = 32


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What tells whether an object is the one that was read before.

    Args:
        size: bytes.
        version: changes with the content, as an ETag does; empty where the store has none.
    """

    size: int
    version: str


class Store(Protocol):
    """A bank's objects, named by their paths inside the bank, such as "masks/pets.safetensors"."""

    @property
    def url(self) -> str:
        """What a user calls the bank, without a slash at the end."""

    def list(self, folder: str) -> list[str]:
        """List the names of objects and folders right inside a folder ("" is the bank), sorted."""

    def read(self, name: str, limit: int) -> bytes:
        """Read a whole object; one of more than `limit` bytes may be cut after one byte more."""

    def read_seal(self, name: str) -> bytes:
        """Read the last 32 bytes of an object, or all where it has fewer."""

    def stat(self, name: str) -> ObjectStat:
        """Return the size and version of an object."""

    def expect(self, names: Sequence[str]) -> None:
        """Hear which objects are about to be read, in this order; they may be fetched ahead."""


@dataclass(frozen=True, slots=True)
class StorePath:
    """The place of an object or folder in a store, as `pathlib.Path` is in a file system.

    Args:
        store: that holds it.
        key: its name there; empty for the bank itself.
    """

    store: Store
    key: str = ""

    def __truediv__(self, name: str) -> "StorePath":
        return StorePath(self.store, f"{self.key}/{name}" if self.key else name)

    def __str__(self) -> str:
        return f"{self.store.url}/{self.key}" if self.key else self.store.url

    def is_symlink(self) -> bool:
        """Return False: stores have no links."""
        return False

    def exists(self) -> bool:
        """Return whether there is such an object; False if the store does not say."""
        try:
            self.store.stat(self.key)
        except OSError:
            return False
        return True


Place: TypeAlias = Path | StorePath
AnyPlace = TypeVar("AnyPlace", bound=Place)
