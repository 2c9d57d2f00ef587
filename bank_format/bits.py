"""Packed bits: eight weights a byte, the first in the least significant bit.

A mask of n weights, in C order, is a 1-D uint8 array of ceil(n / 8) bytes; weight i is bit
i mod 8 of byte i // 8, and the unused bits of the last byte are zero. The counting functions
read the bytes in place and allocate nothing.
"""

import numpy as np
from bitarray import bitarray
from bitarray.util import count_and, count_xor
from numpy.typing import NDArray

__all__ = [
    "count_ones",
    "distance",
    "overlap",
    "pack",
    "packed_size",
    "padding_is_zero",
    "unpack",
]


def packed_size(count: int) -> int:
    """Return the bytes that `count` packed bits take: ceil(count / 8)."""
    return (count + 7) // 8


def pack(bits: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Pack a bool array of any shape, read in C order.

    Returns:
        (ceil(size / 8),) uint8, padding zero.

    Raises:
        ValueError: the array is not of type bool.
    """
    if bits.dtype != np.bool_:
        raise ValueError(f"bits are of type {bits.dtype}, expected bool")
    return np.packbits(bits.reshape(-1), bitorder="little")


def unpack(packed: NDArray[np.uint8], count: int) -> NDArray[np.bool_]:
    """Unpack `count` bits.

    Args:
        packed: (ceil(count / 8),) uint8; what its padding holds is not looked at.
        count: number of weights; it comes from the network spec, never from the bytes.

    Returns:
        (count,) bool.

    Raises:
        ValueError: the array is not 1-D uint8 of that many bytes.
    """
    _check_size(packed, count)
    return np.unpackbits(packed, count=count, bitorder="little").view(np.bool_)


def padding_is_zero(packed: NDArray[np.uint8], count: int) -> bool:
    """Tell whether the bits after the first `count` are all zero.

    Raises:
        ValueError: the array is not 1-D uint8 of ceil(count / 8) bytes.
    """
    _check_size(packed, count)
    used = count % 8
    return used == 0 or int(packed[-1]) >> used == 0


def count_ones(packed: NDArray[np.uint8]) -> int:
    """Count the ones of a packed mask, (bytes,) uint8, contiguous."""
    return _view(packed).count()


def overlap(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> int:
    """Count the weights that both packed masks keep (AND).

    Raises:
        ValueError: the two differ in size.
    """
    return count_and(_view(first), _view(second))


def distance(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> int:
    """Count the weights in which two packed masks differ (XOR, the Hamming distance in bits).

    Raises:
        ValueError: the two differ in size.
    """
    return count_xor(_view(first), _view(second))


def _view(packed: NDArray[np.uint8]) -> bitarray:
    return bitarray(buffer=packed.data, endian="little")


def _check_size(packed: NDArray[np.uint8], count: int) -> None:
    expected = packed_size(count)
    if packed.dtype != np.uint8 or packed.shape != (expected,):
        raise ValueError(
            f"packed bits are {packed.dtype} {packed.shape}, "
            f"expected uint8 ({expected},) for {count} weights"
        )
