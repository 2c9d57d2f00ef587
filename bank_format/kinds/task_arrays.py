"""Arrays that a task may have besides its masks and statistics: its head, its signature.

Numbers of 16 and 8 bits are stored as bytes, because a sealed file has no such types: an older
reader, which checks types first, would otherwise report damage instead of a newer kind.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bank_format.encoding.sealed import Tensors

__all__ = ["HEAD_BIAS", "HEAD_WEIGHT", "ArrayRecord", "Arrays", "read_arrays", "stored_arrays"]

Arrays: TypeAlias = Mapping[str, NDArray[np.generic]]

# The task's own last layer: (classes, features) and (classes,), float16, in the order of classes.
HEAD_WEIGHT: Final = "head/weight"
HEAD_BIAS: Final = "head/bias"

ArrayType: TypeAlias = Literal["float16", "float32", "int8", "uint8"]
_TYPES: Final[dict[ArrayType, np.dtype[np.generic]]] = {
    "float16": np.dtype("<f2"),
    "float32": np.dtype("<f4"),
    "int8": np.dtype("<i1"),
    "uint8": np.dtype("<u1"),
}
_NAME = re.compile(r"(?:head|signature)/[A-Za-z0-9._-]{1,100}", re.ASCII)
_MOST_NUMBERS = 2**31


@dataclass(frozen=True, slots=True)
class ArrayRecord:
    """The type and shape of an array."""

    type: ArrayType
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.shape) <= 8 or min(self.shape) < 0 or self.count > _MOST_NUMBERS:
            raise ValueError(
                f"shape {list(self.shape)} found, expected 1 to 8 dimensions of at least 0 and at "
                f"most {_MOST_NUMBERS} numbers"
            )

    @property
    def count(self) -> int:
        """Number of its values."""
        return math.prod(self.shape)


def check_array_names(names: Mapping[str, ArrayRecord]) -> None:
    """Refuse names that an array of a task cannot have.

    Raises:
        ValueError: a name begins neither with head/ nor with signature/, or is no lawful name.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"array {name[:80]!r} found, expected head/… or signature/… of A-Z a-z 0-9 . _ -"
            )


def stored_arrays(arrays: Arrays) -> tuple[dict[str, ArrayRecord], Tensors]:
    """Turn arrays into their descriptions and the tensors that hold their bytes.

    Args:
        arrays: of type float16, float32, int8 or uint8, any shape of 1 to 8 dimensions.

    Returns:
        name → record; name → (bytes,) uint8, little-endian, C order.

    Raises:
        ValueError: another type, infinity or NaN.
    """
    kinds = {dtype.newbyteorder("="): name for name, dtype in _TYPES.items()}
    records: dict[str, ArrayRecord] = {}
    tensors: Tensors = {}
    for name, array in arrays.items():
        kind = kinds.get(array.dtype.newbyteorder("="))
        if kind is None:
            raise ValueError(f"array {name} is {array.dtype}, expected one of {[*_TYPES]}")
        _check_finite(name, array)
        records[name] = ArrayRecord(kind, array.shape)
        flat = np.ascontiguousarray(array, _TYPES[kind]).reshape(-1)
        tensors[name] = flat.view(np.uint8)
    check_array_names(records)
    return records, tensors


def read_arrays(
    records: Mapping[str, ArrayRecord], tensors: Tensors
) -> dict[str, NDArray[np.generic]]:
    """Undo `stored_arrays`.

    Args:
        records: the descriptions in the file.
        tensors: of the file, including one for each record.

    Returns:
        name → array of the stated type and shape, in this machine's byte order.

    Raises:
        ValueError: the length differs from the record's, or there is infinity or NaN.
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, record in records.items():
        dtype, stored = _TYPES[record.type], tensors[name]
        expected = record.count * dtype.itemsize
        if stored.shape != (expected,):
            raise ValueError(
                f"array {name}: {list(stored.shape)} bytes found, expected [{expected}]"
            )
        values = stored.view(np.uint8).view(dtype).reshape(record.shape)
        _check_finite(name, values)
        arrays[name] = values.astype(dtype.newbyteorder("="), copy=False)
    return arrays


def _check_finite(name: str, array: NDArray[np.generic]) -> None:
    if array.dtype.kind == "f" and not bool(np.isfinite(array.astype(np.float32)).all()):
        raise ValueError(f"array {name} has infinity or NaN, expected finite numbers")
