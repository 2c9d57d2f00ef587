"""A mask's bytes: plain packed bits, or Rice coded gaps if those take fewer bytes.

Golomb 1966 for a power-of-two parameter (Rice). Ones at positions p₀ < p₁ < … have the gaps
gᵢ = pᵢ − pᵢ₋₁ − 1 with p₋₁ = −1. A gap is its remainder gᵢ mod 2ᵏ, k bits, and its quotient
gᵢ // 2ᵏ in unary. All remainders come first, then all quotients, each part padded to a byte:
so both parts are decoded as whole arrays. If fewer weights are dropped than kept, the gaps are
those between zeros. The number of weights is an input of the decoder, never an output, so that no
bytes can make it allocate more.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bank_format.encoding.bits import pack, packed_size, padding_is_zero, unpack

__all__ = [
    "DroppedCoding",
    "Encoding",
    "PackedCoding",
    "RiceCoding",
    "decode",
    "encode",
    "stored_bytes",
]

LARGEST_K = 32


@dataclass(frozen=True, slots=True)
class PackedCoding:
    """Plain packed bits."""

    coding: Literal["packed"] = "packed"


@dataclass(frozen=True, slots=True)
class RiceCoding:
    """Rice coded gaps: `ones` of them, with remainders of `k` bits.

    Raises:
        ValueError: k is not in 0..32, or ones is negative.
    """

    coding: Literal["rice"]
    ones: int
    k: int

    def __post_init__(self) -> None:
        _check_numbers(self.k, "ones", self.ones)


@dataclass(frozen=True, slots=True)
class DroppedCoding:
    """Rice coded gaps between dropped weights: `zeros` of them, with remainders of `k` bits.

    Raises:
        ValueError: k is not in 0..32, or zeros is negative.
    """

    coding: Literal["rice-dropped"]
    zeros: int
    k: int

    def __post_init__(self) -> None:
        _check_numbers(self.k, "zeros", self.zeros)


Encoding: TypeAlias = PackedCoding | RiceCoding | DroppedCoding


def encode(bits: NDArray[np.bool_]) -> tuple[Encoding, NDArray[np.uint8]]:
    """Encode one mask in the fewest bytes; if equal, packed is preferred, then the smallest k.

    The gaps are those between the rarer of kept and dropped weights; between kept ones if equal.

    Args:
        bits: bool, any shape, read in C order.

    Returns:
        The encoding, and (bytes,) uint8.

    Raises:
        ValueError: the array is not of type bool.
    """
    packed = pack(bits)
    drops_fewer = 2 * int(np.count_nonzero(bits)) > bits.size
    positions = np.flatnonzero(~bits if drops_fewer else bits)
    gaps = _gaps(positions)
    k, size = _best_k(gaps)
    if size >= packed.size:
        return PackedCoding(), packed
    if drops_fewer:
        return DroppedCoding("rice-dropped", positions.size, k), _rice_encode(gaps, k)
    return RiceCoding("rice", positions.size, k), _rice_encode(gaps, k)


def decode(encoding: Encoding, data: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Decode one mask of `count` weights to packed bits.

    Args:
        encoding: as written in the file.
        data: (bytes,) uint8, as stored.
        count: number of weights, from the network spec.

    Returns:
        (ceil(count / 8),) uint8, padding zero; `data` itself if it is packed.

    Raises:
        ValueError: any deviation from the format: length, padding, ones, positions.
    """
    if isinstance(encoding, PackedCoding):
        if not padding_is_zero(data, count):
            raise ValueError(f"padding bits {int(data[-1]) >> count % 8:#x} found, expected zero")
        return data
    if isinstance(encoding, DroppedCoding):
        return pack(~_rice_decode(encoding.zeros, encoding.k, data, count))
    return pack(_rice_decode(encoding.ones, encoding.k, data, count))


def stored_bytes(encoding: Encoding, mask: NDArray[np.uint8], count: int) -> int:
    """Return the number of bytes that a mask takes in its file.

    Args:
        encoding: as written in the file.
        mask: (ceil(count / 8),) uint8, packed.
        count: number of weights.
    """
    if isinstance(encoding, PackedCoding):
        return packed_size(count)
    bits = unpack(mask, count)
    gaps = _gaps(np.flatnonzero(~bits if isinstance(encoding, DroppedCoding) else bits))
    quotients = int((gaps >> encoding.k).sum()) + gaps.size
    return packed_size(gaps.size * encoding.k) + packed_size(quotients)


def _check_numbers(k: int, what: str, number: int) -> None:
    if not 0 <= k <= LARGEST_K:
        raise ValueError(f"k is {k}, expected 0..{LARGEST_K}")
    if number < 0:
        raise ValueError(f"{what} is {number}, expected at least 0")


def _gaps(positions: NDArray[np.int64]) -> NDArray[np.int64]:
    gaps = np.diff(positions, prepend=-1)
    gaps -= 1
    return gaps


def _best_k(gaps: NDArray[np.int64]) -> tuple[int, int]:
    """Return the k with the fewest bytes (the smallest if equal), and that number of bytes."""
    quotients = gaps
    best_size, best_k = packed_size(int(gaps.sum()) + gaps.size), 0
    for k in range(1, LARGEST_K + 1):
        quotients = quotients >> 1
        size = packed_size(gaps.size * k) + packed_size(int(quotients.sum()) + gaps.size)
        if size < best_size:
            best_size, best_k = size, k
        # The number of bits is convex in k, and rounding to bytes adds less than two: from here it
        # grows.
        if size > best_size + 4:
            break
    return best_k, best_size


def _rice_encode(gaps: NDArray[np.int64], k: int) -> NDArray[np.uint8]:
    remainders = np.empty((gaps.size, k), dtype=np.bool_)
    for bit in range(k):
        remainders[:, bit] = (gaps >> bit) & 1
    ends = np.cumsum((gaps >> k) + 1)
    quotients = np.zeros(int(ends[-1]) if ends.size else 0, dtype=np.bool_)
    quotients[ends - 1] = True
    return np.concatenate((pack(remainders), pack(quotients)))


def _rice_decode(ones: int, k: int, data: NDArray[np.uint8], count: int) -> NDArray[np.bool_]:
    """Decode the gaps between `ones` bits among `count`: (count,) bool."""
    if data.dtype != np.uint8 or data.ndim != 1:
        raise ValueError(f"coded mask is {data.dtype} {data.shape}, expected uint8 (bytes,)")
    # The format requires fewer bytes than packed; that also bounds everything allocated below.
    if data.size >= packed_size(count):
        raise ValueError(
            f"coded mask of {data.size} bytes, expected fewer than {packed_size(count)} packed"
        )
    split = packed_size(ones * k)
    if split > data.size:
        raise ValueError(f"remainders take {split} bytes, {data.size} found")
    remainder_bytes, quotient_bytes = data[:split], data[split:]
    if not padding_is_zero(remainder_bytes, ones * k):
        raise ValueError("padding bits after the remainders, expected zero")
    if quotient_bytes.size and quotient_bytes[-1] == 0:
        raise ValueError("last byte is zero, expected the end of the last quotient in it")

    ends = np.flatnonzero(unpack(quotient_bytes, quotient_bytes.size * 8))
    if ends.size != ones:
        raise ValueError(f"{ends.size} quotients found, expected {ones}")
    gaps = _gaps(ends)
    if int(gaps.sum()) > count >> k:
        raise ValueError(f"a position after the last of {count} weights")
    gaps <<= k
    remainders = unpack(remainder_bytes, ones * k).reshape(ones, k)
    for bit in range(k):
        gaps |= remainders[:, bit].astype(np.int64) << bit
    positions = np.cumsum(gaps + 1) - 1
    if ones and int(positions[-1]) >= count:
        raise ValueError(f"last position is {int(positions[-1])}, expected below {count}")
    bits = np.zeros(count, dtype=np.bool_)
    bits[positions] = True
    return bits
