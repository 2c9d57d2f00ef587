"""A sealed file: a safetensors file that ends in the SHA-256 of all bytes before.

The seal is a U8 tensor named "~seal", which sorts after every other, so its bytes are the file's
last. One metadata key, "supsup", holds canonical JSON, because with two or more keys safetensors
does not write the same bytes twice. A reader checks the seal first, then parses exactly the bytes
it checked. This finds damage; it does not stop a forger.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import save

from bank_format.encoding.canonical_json import Json, JsonObject, canonical, parse_parts
from bank_format.encoding.damage import damage
from bank_format.errors import DamagedError

__all__ = [
    "DTYPES",
    "HEADER_LIMIT",
    "SEAL_SIZE",
    "Tensor",
    "Tensors",
    "Unsealed",
    "parse_unchecked",
    "read_sealed",
    "seal",
    "unseal",
]

Tensor: TypeAlias = NDArray[np.generic]
Tensors: TypeAlias = dict[str, Tensor]
_Entries: TypeAlias = list[tuple[str, dict[str, Any]]]

DTYPES: dict[str, np.dtype[np.generic]] = {
    "U8": np.dtype("<u1"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}
HEADER_LIMIT = 8 * 2**20  # bytes
SEAL_SIZE = 32  # bytes
_SEAL = "~seal"
_METADATA = "supsup"


@dataclass(frozen=True, slots=True)
class Unsealed:
    """The content of a sealed file.

    Attributes:
        tensors: without the seal; writable, each in its own memory.
        metadata: any JSON value.
        texts: if the metadata is an object, the canonical text of the value of each key.
        size: of the file, bytes.
    """

    tensors: Tensors
    metadata: Json
    texts: Mapping[str, bytes]
    size: int


def seal(tensors: Mapping[str, Tensor], metadata: Json) -> bytes:
    """Write tensors and metadata as a sealed file.

    Args:
        tensors: uint8, float32 or float64 arrays of any shape; names sort before "~".
        metadata: any JSON value; stored in canonical form.

    Returns:
        The file's bytes; equal input gives equal bytes.

    Raises:
        ValueError: a name or type that the format does not have, or a header over the limit.
    """
    stored: Tensors = {}
    for name, tensor in tensors.items():
        if not "" < name < "~" or not name.isascii() or tensor.dtype not in DTYPES.values():
            raise ValueError(
                f"tensor {name!r} of type {tensor.dtype} has no place in a sealed file"
            )
        stored[name] = np.asarray(tensor, order="C")
    stored[_SEAL] = np.zeros(SEAL_SIZE, dtype=np.uint8)
    text = canonical(metadata).decode("utf-8")
    body = save(stored, metadata={_METADATA: text})[:-SEAL_SIZE]
    sealed = body + hashlib.sha256(body).digest()
    try:
        _parse(sealed)
    except ValueError as error:
        raise ValueError(f"this cannot be sealed: {error}") from error
    return sealed


def unseal(data: bytes, name: str) -> tuple[Tensors, Json]:
    """Check a sealed file's seal, then parse it strictly.

    Args:
        data: the whole file, read once.
        name: the file's name, for messages.

    Returns:
        The tensors and the metadata, as in `Unsealed`.

    Raises:
        DamagedError: it is not what `seal` writes; the message names the file.
    """
    found = read_sealed(data, name)
    return found.tensors, found.metadata


def read_sealed(data: bytes, name: str, *, views: bool = False) -> Unsealed:
    """Check a sealed file's seal, then parse it strictly; see `unseal`.

    With `views` the tensors are views of the data that cannot be written: a large file is not
    copied once more.
    """
    expected, found = hashlib.sha256(memoryview(data)[:-SEAL_SIZE]).digest(), data[-SEAL_SIZE:]
    if len(data) < SEAL_SIZE or expected != found:
        raise DamagedError(
            f"{name}: seal {found.hex()[:16]}… found, expected {expected.hex()[:16]}…",
            hint="restore the file from a copy, or remove it and make it again",
            invariant="I2",
        )
    with damage(name, "I3"):
        return _parse(data, views=views)


def parse_unchecked(data: bytes) -> Unsealed:
    """Parse a sealed file whose seal is broken, for a hint of what it was; nothing may rely on it.

    Raises:
        ValueError: it is not even laid out as one.
    """
    return _parse(data)


def _parse(data: bytes, *, views: bool = False) -> Unsealed:
    metadata, header = _check_header(data)
    value, texts = parse_parts(metadata.encode("utf-8"))
    if views:
        return Unsealed(_views(data, header), value, texts, len(data))
    try:
        entries = cast("_Entries", safetensors.deserialize(data))  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise ValueError(f"no safetensors file ({error})") from None
    tensors: Tensors = {}
    for name, entry in entries:
        if name != _SEAL:
            dtype = DTYPES.get(entry["dtype"])
            if dtype is None:
                raise ValueError(f"tensor {name} is {entry['dtype']}, expected one of {[*DTYPES]}")
            tensors[name] = np.frombuffer(entry["data"], dtype=dtype).reshape(entry["shape"])
    return Unsealed(tensors, value, texts, len(data))


def _views(data: bytes, header: JsonObject) -> Tensors:
    """Make views of a file's tensors, which must follow each other without gaps, by the header."""
    start = 8 + int.from_bytes(data[:8], "little")
    places: list[tuple[int, int, str, np.dtype[np.generic], list[int]]] = []
    for name, entry in header.items():
        match entry:
            case {"dtype": str(kind), "shape": list(shape), "data_offsets": [int(a), int(b)]} if (
                kind in DTYPES and all(type(one) is int and one >= 0 for one in shape)
            ):
                places.append((a, b, name, DTYPES[kind], cast("list[int]", shape)))
            case _ if name != "__metadata__":
                raise ValueError(f"tensor {name!r:.80}: no type, shape and place of one")
    tensors: Tensors = {}
    end = 0
    for first, last, name, dtype, shape in sorted(places, key=lambda place: place[:2]):
        if first != end or last - first != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"tensor {name}: bytes {first} to {last} found, expected from {end}")
        count = math.prod(shape)
        tensors[name] = np.frombuffer(data, dtype, count, start + first).reshape(shape)
        end = last
    del tensors[_SEAL]
    return tensors


def _check_header(data: bytes) -> tuple[str, JsonObject]:
    """Check all that safetensors leaves open; return the metadata's text, and the header."""
    start = 8 + int.from_bytes(data[:8], "little")
    if start > min(len(data), 8 + HEADER_LIMIT):
        raise ValueError(f"header of {start - 8} bytes in a file of {len(data)}, or over the limit")
    try:
        header = json.loads(data[8:start].decode("utf-8"), object_pairs_hook=_without_doubles)
    except RecursionError:
        raise ValueError("header nested too deep") from None
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or metadata.keys() != {_METADATA}:
        raise ValueError(f"metadata of the header is not the one key {_METADATA!r}")
    size = len(data) - start
    expected = {"dtype": "U8", "shape": [SEAL_SIZE], "data_offsets": [size - SEAL_SIZE, size]}
    if header.get(_SEAL) != expected:
        raise ValueError(f"tensor {_SEAL} is not the last {SEAL_SIZE} bytes")
    text = metadata[_METADATA]
    if not isinstance(text, str):
        raise ValueError(f"metadata {_METADATA!r} is no text")
    return text, header


def _without_doubles(pairs: list[tuple[str, Json]]) -> JsonObject:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in the header")
    return value
