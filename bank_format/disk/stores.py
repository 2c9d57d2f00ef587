"""What an object store must be able to do so that a bank in it can be read, and no more.

A bank is written in a folder and may be copied into a store to be read there. Nothing here needs
folders, locks or links, which stores do not have: objects have names with slashes, and a task's
file never changes. An adapter implements `Store`. It raises FileNotFoundError if there is no such
object, and another OSError if the store refused or kept failing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

__all__ = ["SEAL_BYTES", "AnyPlace", "ObjectStat", "Place", "Store", "StorePath"]

SEAL_BYTES = 32


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What identifies the content of an object.

    Args:
        size: bytes.
        version: changes with the content, like an ETag; empty if the store has none.
    """

    size: int
    version: str


class Store(Protocol):
    """A bank's objects, named by their paths inside the bank, such as "masks/pets.safetensors"."""

    @property
    def url(self) -> str:
        """The bank's address, without a slash at the end."""

    def list(self, folder: str) -> list[str]:
        """List names of objects and folders directly inside a folder ("" is the bank), sorted."""

    def read(self, name: str, limit: int) -> bytes:
        """Read a whole object; one with more than `limit` bytes may be cut after one byte more."""

    def read_seal(self, name: str) -> bytes:
        """Read the last 32 bytes of an object, or all if it has fewer."""

    def read_seals(self, names: Sequence[str]) -> Iterator[bytes]:
        """Read the seals of several objects, in this order; b"" for an object that is gone."""

    def stat(self, name: str) -> ObjectStat:
        """Return the size and version of an object."""

    def expect(self, names: Sequence[str]) -> None:
        """Note which objects are about to be read, in this order; they may be fetched ahead."""


@dataclass(frozen=True, slots=True)
class StorePath:
    """The place of an object or folder in a store, like `pathlib.Path` for a file system.

    Args:
        store: the store.
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
