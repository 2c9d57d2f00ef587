"""Read a bank's objects from a store through obstore: whole, checked, with retries."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from bank_format.disk.stores import SEAL_BYTES, ObjectStat
from supsup_cli.errors import UsageError
from supsup_cli.stores.cache import Cache, cache_folder, is_sealed, most_bytes

if TYPE_CHECKING:
    from obstore.store import MemoryStore
    from obstore.store import ObjectStore as Client

_ATTEMPTS = 6
_RETRIES = 4  # retries by obstore inside each attempt
_PAUSE = 0.05  # seconds, doubled each time
_AHEAD = 16  # objects fetched ahead; this bounds memory
_SEALED = ".safetensors"
_Answer = TypeVar("_Answer")


def open_store(url: str, *, cached: bool = True) -> "Objects":
    """Open the store of a bank; nothing is read yet.

    Args:
        url: scheme://BUCKET or scheme://BUCKET/PREFIX, without a slash at the end.
        cached: whether files may come from the cache.

    Raises:
        UsageError: obstore is not installed, or the address or the settings cannot be used.
    """
    try:
        from obstore.store import from_url
    except ImportError as error:
        raise UsageError(
            f"{url}: obstore, which reads object stores, is not installed",
            hint="pip install 'supsup[cloud]'",
        ) from error
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    kept = Cache(cache_folder(), most_bytes() if cached else 0)
    if scheme == "memory":
        return Objects(url, memory(bucket), prefix, kept, versions=False)
    try:
        client = from_url(
            f"{scheme}://{bucket}",
            client_options={
                "timeout": "30s",
                "connect_timeout": "5s",
                # Options given here would hide those of the environment.
                "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("true", "1"),
            },
            retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=30)},
        )
    except Exception as error:
        told = str(error).splitlines()[0]
        raise UsageError(f"{url}: {told}", hint="check the address and its settings") from error
    return Objects(url, client, prefix, kept, versions=True)


@cache
def memory(bucket: str) -> "MemoryStore":
    """Return a store that lives in this process alone; tests fill it."""
    from obstore.store import MemoryStore

    return MemoryStore()


class Objects:
    """The `Store` of a bank.

    Args:
        url: the bank's address.
        client: obstore's, for the whole bucket.
        prefix: of the bank's objects, without slashes at its ends.
        kept: cache of files read before.
        versions: whether an ETag identifies content, also across processes.
    """

    def __init__(
        self, url: str, client: "Client", prefix: str, kept: Cache, *, versions: bool
    ) -> None:
        self._url = url
        self._client = client
        self._prefix = prefix
        self._kept = kept
        self._versions = versions
        self._seen: dict[str, ObjectStat] = {}
        self._expected: list[str] = []
        self._coming: dict[str, Future[bytes]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The bank's address."""
        return self._url

    def list(self, folder: str) -> list[str]:
        """List the names directly inside a folder, and remember the versions of its objects."""
        from obstore import list_with_delimiter

        place = self._key(folder).strip("/")
        found = self._tried(lambda: list_with_delimiter(self._client, prefix=place or None))
        names = []
        start = len(place) + 1 if place else 0
        for one in found["objects"]:
            name = str(one["path"])[start:]
            inside = f"{folder}/{name}" if folder else name
            self._seen[inside] = ObjectStat(int(one["size"]), str(one["e_tag"] or ""))
            names.append(name)
        names += [str(one)[start:].strip("/") for one in found["common_prefixes"]]
        return sorted(name for name in names if name)

    def read(self, name: str, limit: int) -> bytes:
        """Read a whole object, from the cache if it is there.

        Raises:
            FileNotFoundError: there is none.
            OSError: the store kept failing.
        """
        with self._lock:
            self._fetch_ahead(name, limit)
            coming = self._coming.pop(name, None)
        return self._fetch(name, limit) if coming is None else coming.result()

    def read_seal(self, name: str) -> bytes:
        """Read the last 32 bytes of an object, or know them by the size and ETag just listed."""
        from obstore import get

        version = self._version(name)
        known = None if version is None else self._kept.seal_of(version)
        if known is not None:
            return known

        def ask() -> bytes:
            part = get(self._client, self._key(name), options={"range": {"suffix": SEAL_BYTES}})
            data = bytes(part.bytes())
            if len(data) != min(SEAL_BYTES, part.meta["size"]):
                raise _short(len(data), SEAL_BYTES)
            return data

        seal = self._tried(ask)
        if version is not None and len(seal) == SEAL_BYTES:
            self._kept.keep_seal(version, seal)
        return seal

    def read_seals(self, names: Sequence[str]) -> Iterator[bytes]:
        """Read the last 32 bytes of several objects, a few at a time; b"" of one that is gone."""

        def ask(name: str) -> bytes:
            try:
                return self.read_seal(name)
            except FileNotFoundError:
                return b""

        with ThreadPoolExecutor(_AHEAD, thread_name_prefix="seals") as pool:
            yield from pool.map(ask, names)

    def stat(self, name: str) -> ObjectStat:
        """Return the size and version that an object has now."""
        return self._tried(lambda: self._head(name))

    def expect(self, names: Sequence[str]) -> None:
        """Fetch these objects ahead, a few at a time, once the first of them is read."""
        with self._lock:
            self._expected = list(reversed(names))

    def _head(self, name: str) -> ObjectStat:
        from obstore import head

        found = head(self._client, self._key(name))
        return ObjectStat(int(found["size"]), str(found["e_tag"] or ""))

    def _fetch_ahead(self, name: str, limit: int) -> None:
        """Start fetching the objects that follow an expected one."""
        if name in self._coming or (self._expected and self._expected[-1] == name):
            self._pool = self._pool or ThreadPoolExecutor(_AHEAD, thread_name_prefix="objects")
            while self._expected and len(self._coming) < _AHEAD:
                following = self._expected.pop()
                self._coming[following] = self._pool.submit(self._fetch, following, limit)

    def _fetch(self, name: str, limit: int) -> bytes:
        if not name.endswith(_SEALED):
            return self._agreed(name, limit)
        known = self._kept_seal(name)
        kept = None if known is None else self._kept.read(known)
        if kept is not None:
            return kept
        data = self._sealed(name, limit)
        if is_sealed(data):
            self._kept.keep(data)
            self._remember(name, data)
        return data

    def _kept_seal(self, name: str) -> bytes | None:
        """Return an object's seal: known by the version just listed, else read from the object."""
        version = self._version(name)
        known = None if version is None else self._kept.seal_of(version)
        if known is None and version is None:
            known = self.read_seal(name)
        return known

    def _version(self, name: str) -> str | None:
        seen = self._seen.get(name)
        if not self._versions or seen is None or not seen.version or seen.version[:2] == "W/":
            return None
        return f"{self._url}\n{name}\n{seen.size}\n{seen.version}"

    def _remember(self, name: str, data: bytes) -> None:
        version = self._version(name)
        if version is not None and len(data) == self._seen[name].size:
            self._kept.keep_seal(version, data[-SEAL_BYTES:])

    def _sealed(self, name: str, limit: int) -> bytes:
        """Read a sealed object; if it comes unsealed and equal twice, the store has it damaged."""
        data = self._whole(name, limit)
        return data if is_sealed(data) else self._agreed(name, limit, data)

    def _agreed(self, name: str, limit: int, data: bytes | None = None) -> bytes:
        """Read an object until two replies agree, which are then what the store has."""
        for attempt in range(_ATTEMPTS):
            again = self._whole(name, limit)
            if again == data or (name.endswith(_SEALED) and is_sealed(again)):
                return again
            data = again
            time.sleep(_PAUSE * 2**attempt if attempt else 0)
        raise OSError(errno.EIO, "other bytes in every reply")

    def _whole(self, name: str, limit: int) -> bytes:
        from obstore import get

        def ask() -> bytes:
            reply = get(self._client, self._key(name))
            size = int(reply.meta["size"])
            if size > limit:
                return bytes(limit + 1)  # too long: its content does not matter
            data = bytes(reply.bytes())
            listed = self._seen.get(name)
            expected = size if listed is None else listed.size
            if len(data) != expected:
                if listed is not None:  # it was replaced since: the next reply must be as it is now
                    self._seen[name] = self._head(name)
                raise _short(len(data), expected)
            return data

        return self._tried(ask)

    def _tried(self, ask: Callable[[], _Answer]) -> _Answer:
        """Retry until there is an answer.

        Raises:
            FileNotFoundError: there is no such object.
            OSError: it kept failing or is not allowed; one line says why.
        """
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        for attempt in range(_ATTEMPTS):
            try:
                return ask()
            except FileNotFoundError:
                raise
            except (PermissionDeniedError, UnauthenticatedError) as error:
                raise OSError(errno.EACCES, _line(error)) from error
            except (BaseError, OSError) as error:
                if attempt == _ATTEMPTS - 1:
                    raise OSError(errno.EIO, _line(error)) from error
            time.sleep(_PAUSE * 2**attempt)
        raise AssertionError("unreachable")

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name


def _short(found: int, expected: int) -> OSError:
    return OSError(errno.EIO, f"{found} bytes came, expected {expected}")


def _line(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split("Debug source:")[0].split())[:300]
