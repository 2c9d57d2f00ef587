"""MNIST, inside the package, so that everything runs without a network. NOTICE has the licence."""

import gzip
import hashlib
import io
import zlib
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from supsup_cli.errors import StorageError

_FILES = {
    True: ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", 60_000),
    False: ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", 10_000),
}
_HINT = "pip install --force-reinstall supsup"


@cache
def load_mnist(train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Load one half of MNIST; the other half's files are not touched.

    The arrays are read-only and stay in memory, because many tasks share them.

    Returns:
        images (N, 1, 28, 28) uint8 and labels (N,) int64, the digits 0..9;
        N is 60,000 (train) or 10,000 (test).

    Raises:
        StorageError: an embedded file is missing or is not what was packaged.
    """
    images_name, labels_name, count = _FILES[train]
    images = _load_idx(images_name, (count, 28, 28))
    labels = _load_idx(labels_name, (count,)).astype(np.int64)
    labels.flags.writeable = False
    return images.reshape(count, 1, 28, 28), labels


@cache
def source_digest() -> str:
    """Digest the four embedded files.

    Returns:
        SHA-256 over the four files' bytes (train images, train labels, test images, test
        labels, as packaged), 64 lower-case hex digits.

    Raises:
        StorageError: an embedded file is missing.
    """
    digest = hashlib.sha256()
    for train in (True, False):
        for name in _FILES[train][:2]:
            digest.update(_read(name))
    return digest.hexdigest()


def parse_idx(data: bytes, shape: tuple[int, ...], name: str) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes: two zeros, type 8, the rank, big-endian sizes, data.

    Args:
        data: the file's bytes, uncompressed.
        shape: the shape that the file must have.
        name: what to call the file in an error.

    Returns:
        uint8 array of that shape, read-only.

    Raises:
        StorageError: the header or the length differs from what the shape demands.
    """
    header = bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
    if data[: len(header)] != header:
        found = data[: len(header)].hex()
        raise StorageError(f"{name}: header {found}, expected {header.hex()}", hint=_HINT)
    expected = len(header) + int(np.prod(shape))
    if len(data) != expected:
        raise StorageError(f"{name}: {len(data)} bytes, expected {expected}", hint=_HINT)
    return np.frombuffer(data, np.uint8, offset=len(header)).reshape(shape)


def _load_idx(name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    # One byte more than the shape needs shows that there is too much, without filling memory.
    limit = 4 + 4 * len(shape) + int(np.prod(shape)) + 1
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(_read(name))) as file:
            return parse_idx(file.read(limit), shape, name)
    except (OSError, EOFError, zlib.error) as error:
        raise StorageError(f"{name}: not a whole gzip file ({error})", hint=_HINT) from error


def _read(name: str) -> bytes:
    try:
        return resources.files(__name__).joinpath(name).read_bytes()
    except OSError as error:
        raise StorageError(f"{name}: {error.strerror or error}", hint=_HINT) from error
