"""Keep files of banks in object stores on this machine, under their seals, for one user only.

A file's name is the SHA-256 that seals it, so it is right whatever bank or store it came from, and
every read checks it as if it came from the store. Damaged and surplus files are removed; nothing
here is ever needed. If the system refuses anything, the store is read instead. Only files with such
names, or those of what is being written, are counted and removed: SUPSUP_CACHE may name a folder
that holds others.
"""

import hashlib
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

_MOST_BYTES = 4 * 2**30
_SHRINK_TO = 0.8  # of the limit, so that not every new file makes us count all files again
_SEAL = re.compile("[0-9a-f]{64}")
_SEAL_BYTES = 32
_OF = "of-"  # before the name of what remembers a seal
_OURS = re.compile(rf"(?:{_OF})?[0-9a-f]{{64}}|\.[0-9a-f]{{16}}\.tmp")


def cache_folder() -> Path | None:
    """Return where files are kept: SUPSUP_CACHE, or supsup in the user's cache folder.

    A user without a home, as in a container, has no such folder: None.
    """
    given = os.environ.get("SUPSUP_CACHE")
    if given:
        return Path(given)
    try:
        caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        return None
    return Path(caches) / "supsup" / "stores"


def most_bytes() -> int:
    """Return how many bytes may be kept: SUPSUP_CACHE_BYTES, or 4 GiB; 0 keeps nothing."""
    given = os.environ.get("SUPSUP_CACHE_BYTES", "")
    return int(given) if given.isascii() and given.isdigit() else _MOST_BYTES


def is_sealed(data: bytes) -> bool:
    """Return whether the last 32 bytes are the SHA-256 of those before them."""
    return hashlib.sha256(data[:-_SEAL_BYTES]).digest() == data[-_SEAL_BYTES:]


class Cache:
    """Sealed files, and the seal that each object had when last seen.

    Args:
        folder: created with mode 0700 if missing; None: nothing is kept.
        most: largest number of bytes to keep.
    """

    def __init__(self, folder: Path | None, most: int) -> None:
        self._folder = folder or Path()
        self._most = most
        self._usable = folder is not None and most > 0 and self._made()
        self._total = -1

    def read(self, seal: bytes) -> bytes | None:
        """Read and check the file with a seal; None if it is missing or damaged."""
        if not self._usable:
            return None
        path = self._folder / seal.hex()
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if data[-_SEAL_BYTES:] != seal or not is_sealed(data):
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)  # the most recently used file is removed last
        return data

    def keep(self, data: bytes) -> None:
        """Keep a sealed file, if there is room for it."""
        if self._usable and len(data) <= self._most * _SHRINK_TO:
            self._write(data[-_SEAL_BYTES:].hex(), data)
            self._bound(len(data))

    def seal_of(self, version: str) -> bytes | None:
        """Return the seal that an object of this name, size and version had."""
        if not self._usable:
            return None
        try:
            text = (self._folder / self._name(version)).read_text("ascii")
        except (OSError, UnicodeError):
            return None
        return bytes.fromhex(text) if _SEAL.fullmatch(text) else None

    def keep_seal(self, version: str, seal: bytes) -> None:
        """Remember the seal of an object of this name, size and version."""
        if self._usable:
            self._write(self._name(version), seal.hex().encode())

    def _name(self, version: str) -> str:
        return _OF + hashlib.sha256(version.encode()).hexdigest()

    def _made(self) -> bool:
        """Create the folder; a link, or a folder that others may write into, is not used."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self._folder.lstat()
        except OSError:
            return False
        mine = status.st_uid == os.geteuid() and not self._folder.is_symlink()
        if mine and status.st_mode & 0o077:
            with suppress(OSError):
                self._folder.chmod(0o700)
                return True
            return False
        return mine

    def _write(self, name: str, data: bytes) -> None:
        temporary = self._folder / f".{secrets.token_hex(8)}.tmp"
        try:
            with temporary.open("xb") as file:
                file.write(data)
            temporary.replace(self._folder / name)
        except OSError:
            with suppress(OSError):
                temporary.unlink()

    def _bound(self, added: int) -> None:
        """Remove the least recently used files if there are too many."""
        with suppress(OSError):
            if self._total < 0:
                self._total = sum(size for _, size, _ in self._files())
            else:
                self._total += added
            if self._total <= self._most:
                return
            for _, size, path in sorted(self._files()):
                if self._total <= self._most * _SHRINK_TO:
                    break
                with suppress(OSError):
                    path.unlink()
                self._total -= size

    def _files(self) -> list[tuple[float, int, Path]]:
        found = []
        for path in self._folder.iterdir():
            with suppress(OSError):
                if _OURS.fullmatch(path.name):
                    status = path.stat()
                    found.append((status.st_mtime, status.st_size, path))
        return found
