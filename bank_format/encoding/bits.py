"""Packed bits: eight weights a byte, the first in the least significant bit.

A mask of n weights, in C order, is a 1-D uint8 array of ceil(n / 8) bytes; weight i is bit
i mod 8 of byte i // 8, and the unused bits of the last byte are zero. The counting functions
read the bytes in place and allocate nothing.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from bitarray import bitarray
from bitarray.util import count_and, count_xor
from numpy.typing import NDArray

__all__ = [
    "count_digits",
    "count_ones",
    "count_ones_of_each",
    "counted_overlaps",
    "distance",
    "overlap",
    "pack",
    "packed_size",
    "padding_is_zero",
    "unpack",
]

_MASKS_AT_ONCE = 8
_BYTES_OF_32_BITS = 2**29 - 1  # up to so many bytes, ones are counted in 32 bits


def packed_size(count: int) -> int:
    """Return the number of bytes of `count` packed bits: ceil(count / 8)."""
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
        packed: (ceil(count / 8),) uint8; its padding is ignored.
        count: number of weights; it comes from the network spec, never from the bytes.

    Returns:
        (count,) bool.

    Raises:
        ValueError: the array is not 1-D uint8 of that many bytes.
    """
    _check_size(packed, count)
    return np.unpackbits(packed, count=count, bitorder="little").view(np.bool_)


def padding_is_zero(packed: NDArray[np.uint8], count: int) -> bool:
    """Return whether the bits after the first `count` are all zero.

    Raises:
        ValueError: the array is not 1-D uint8 of ceil(count / 8) bytes.
    """
    _check_size(packed, count)
    used = count % 8
    return used == 0 or int(packed[-1]) >> used == 0


def count_ones(packed: NDArray[np.uint8]) -> int:
    """Count the ones of a packed mask, (bytes,) uint8, contiguous."""
    return _view(packed).count()


def count_ones_of_each(masks: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count the ones of each packed mask, (T, bytes) uint8, rows contiguous: (T,) int64."""
    return counted_overlaps(masks, [np.full(masks.shape[1], 0xFF, dtype=np.uint8)])


def overlap(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> int:
    """Count the weights that both packed masks keep (AND).

    Raises:
        ValueError: the two differ in size.
    """
    return count_and(_view(first), _view(second))


def distance(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> int:
    """Count the weights at which two packed masks differ (XOR, the Hamming distance in bits).

    Raises:
        ValueError: the two differ in size.
    """
    return count_xor(_view(first), _view(second))


def count_digits(masks: Iterable[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Count how many packed masks keep each weight, eight weights a byte at a time.

    A carry-save adder turns three binary digits of one value into one of that value and one of
    twice it. So a mask costs five logical operations on its bytes, however many masks there are.

    Args:
        masks: (bytes,) uint8 each, all of one size.

    Returns:
        (bytes,) uint8 for each binary digit of the counts, the least first; none for no masks.
    """
    waiting: list[list[NDArray[np.uint8]]] = []

    def add(level: int, digits: NDArray[np.uint8]) -> None:
        if level == len(waiting):
            waiting.append([])
        waiting[level].append(digits)
        if len(waiting[level]) == 3:
            first, second, third = waiting[level]
            either = first ^ second
            waiting[level] = [either ^ third]
            add(level + 1, first & second | either & third)

    for mask in masks:
        add(0, mask)
    level = 0
    while level < len(waiting):
        if len(waiting[level]) == 2:
            first, second = waiting[level]
            waiting[level] = [first ^ second]
            add(level + 1, first & second)
        level += 1
    return [digits for (digits,) in waiting]


def counted_overlaps(
    masks: NDArray[np.uint8], digits: Sequence[NDArray[np.uint8]]
) -> NDArray[np.int64]:
    """Add up, for each mask, the counts of the weights it keeps.

    Args:
        masks: (T, bytes) uint8, packed.
        digits: (bytes,) uint8 for each binary digit of the counts, the least first.

    Returns:
        (T,) int64.
    """
    total = np.zeros(len(masks), dtype=np.int64)
    whole = masks.shape[1] // 8 * 8
    wide = np.uint32 if masks.shape[1] <= _BYTES_OF_32_BITS else np.uint64
    # Eight bytes at a time where possible, and few masks, which stay in the cache.
    for columns, word in ((slice(whole), np.uint64), (slice(whole, None), np.uint8)):
        for start in range(0, len(masks), _MASKS_AT_ONCE):
            rows = slice(start, start + _MASKS_AT_ONCE)
            block = masks[rows, columns].view(word)
            for place, digit in enumerate(digits):
                both = np.bitwise_count(block & digit[columns].view(word))
                total[rows] += both.sum(1, dtype=wide).astype(np.int64) << place
    return total


def _view(packed: NDArray[np.uint8]) -> bitarray:
    return bitarray(buffer=packed.data, endian="little")


def _check_size(packed: NDArray[np.uint8], count: int) -> None:
    expected = packed_size(count)
    if packed.dtype != np.uint8 or packed.shape != (expected,):
        raise ValueError(
            f"packed bits are {packed.dtype} {packed.shape}, "
            f"expected uint8 ({expected},) for {count} weights"
        )
