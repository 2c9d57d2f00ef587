"""Digest listed files: to name a folder's data, and to find equal files."""

import hashlib
import json
import os
import time
from functools import lru_cache
from pathlib import Path

from supsup_cli.data.folders.class_folders import Files, Listing
from supsup_cli.data.limits import MOST_FILE_BYTES
from supsup_cli.errors import StorageError

_NOTHING = hashlib.sha256(b"").hexdigest()  # of an empty file, which is not an image
_SETTLED = 2 * 10**9  # nanoseconds; a file changed since may change again within the clock's step


def listing_digest(listing: Listing) -> str:
    """Digest listed image files, including broken ones, without decoding any.

    Returns:
        SHA-256, 64 hex digits, over the sorted rows (split, class, file name, SHA-256 of its
        bytes).

    Raises:
        StorageError: a file that is there cannot be read.
    """
    whole = listing.test is None
    rows = [
        [split, name, Path(path).relative_to(listing.folder).as_posix(), _file_digest(path)]
        for split, files in (
            ("" if whole else "train", listing.train),
            ("test", listing.test),
            ("calibration", listing.calibration),
        )
        for name, paths in (files or {}).items()
        for path in paths
    ]
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()


def notes_of_equals(splits: dict[str, Files]) -> list[str]:
    """Report in one line files with equal bytes that count as different images.

    Args:
        splits: name → class → files; `train` with the share that calibration is drawn from.
    """
    classes: dict[str, set[str]] = {}
    places: dict[str, set[str]] = {}
    for split, files in splits.items():
        for name, paths in files.items():
            for path in paths:
                content = _file_digest(path)
                if content not in ("", _NOTHING):
                    classes.setdefault(content, set()).add(name)
                    places.setdefault(content, set()).add(split)
    several = sum(len(one) > 1 for one in classes.values())
    told = [f"{several:,} in more than one class"] if several else []
    for one, other in (("train", "test"), ("train", "calibration"), ("calibration", "test")):
        shared = sum({one, other} <= found for found in places.values())
        told += [f"{shared:,} in both {one} and {other}"] if shared else []
    return [f"images that appear more than once: {', '.join(told)}"] if told else []


def _file_digest(path: str) -> str:
    """Digest a file's bytes; once, as long as the file does not change."""
    try:
        # a pipe would block, and is not an image
        status = Path(path).stat()
        if not Path(path).is_file():
            return ""
        changed = max(status.st_mtime_ns, status.st_ctime_ns)
        if time.time_ns() - changed < _SETTLED:
            return _content_digest.__wrapped__(path)
        stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, changed)
        return _content_digest(path, stamp)
    except (FileNotFoundError, PermissionError):
        return ""  # an image that cannot be read is reported when images are read
    except OSError as error:
        # Another digest would make another task of the same folder.
        raise StorageError(
            f"{path}: cannot read: {error.strerror or error}",
            hint="check the disk, and type the command again",
        ) from error


@lru_cache(maxsize=2**18)
def _content_digest(path: str, _stamp: object = None) -> str:
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_FILE_BYTES:
            return f"{size} bytes"  # more than is read of an image
        return hashlib.file_digest(file, "sha256").hexdigest()
