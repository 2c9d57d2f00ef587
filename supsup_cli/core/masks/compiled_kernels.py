"""Loops over packed bits that no tensor operation has; see `core.compiling`.

Indices come from `len` of slices, because only then does LLVM know that they are not negative, and
compute sixteen numbers at a time.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from supsup_cli.core.compiling import compiled

# Bytes of a mask to work on at a time, so that their floats, eight per byte, stay in a core's
# cache: for products, and for sums over the masks.
_CHUNK, _SUM_CHUNK = 4096, 8192
# Masks multiplied at a time: a value is read once for all of them.
_ABREAST = 4
# Masks counted in four binary digits before the counts are added up as floats.
_COUNTED = 15
# Masks added up before the sum is added to the total.
_SUMMED = 64


@compiled
def _four_chosen_sums(rows: Any, values: Any, bit: Any) -> Any:
    # One array per row, because LLVM cannot tell that an index with two places is in order.
    first, second, third, fourth = rows
    none = np.float32(0)
    one, two, three, four = none, none, none, none
    for place in range(len(values)):
        value = values[place]
        one += value if first[place] & bit else none
        two += value if second[place] & bit else none
        three += value if third[place] & bit else none
        four += value if fourth[place] & bit else none
    return one, two, three, four


@compiled
def _add_chosen(row: Any, total: Any, bit: Any, value: Any) -> None:
    for place in range(len(row)):
        total[place] += value if row[place] & bit else np.float32(0)


@compiled
def add_products(planes: Any, packed: Any, first: int, last: int, out: Any) -> None:
    """Multiply one vector by masks `first` to `last`.

    Args:
        planes: (8, n) float32, the vector's values by their place in a byte, contiguous.
        packed: (T, n) uint8, contiguous.
        first: mask to begin with.
        last: mask to end before.
        out: (T,) float64, added to.
    """
    # Always four masks, the last one again where there are fewer: another loop for the rest would
    # be compiled in its own way, and a mask's product would depend on how many there are.
    count = packed.shape[1]
    for start in range(0, count, _CHUNK):
        end = min(start + _CHUNK, count)
        for task in range(first, last, _ABREAST):
            rows = (
                packed[task, start:end],
                packed[min(task + 1, last - 1), start:end],
                packed[min(task + 2, last - 1), start:end],
                packed[min(task + 3, last - 1), start:end],
            )
            for place in range(8):
                sums = _four_chosen_sums(rows, planes[place, start:end], np.uint8(1 << place))
                for row in range(min(_ABREAST, last - task)):
                    out[task + row] += sums[row]


@compiled
def add_weighted(alphas: Any, packed: Any, start: int, end: int, out: Any) -> None:
    """Add up masks with coefficients, over bytes `start` to `end` of each.

    Args:
        alphas: (T,) float32.
        packed: (T, n) uint8, contiguous.
        start: byte to begin with.
        end: byte to end before.
        out: (8, n) float32, sums by the bits' place in a byte, added to.
    """
    partial = np.zeros((8, _SUM_CHUNK), np.float32)
    for low in range(start, end, _SUM_CHUNK):
        high = min(low + _SUM_CHUNK, end)
        for task in range(len(packed)):
            if alphas[task] != 0:
                row = packed[task, low:high]
                for place in range(8):
                    _add_chosen(row, partial[place], np.uint8(1 << place), alphas[task])
            # Sums of sums: rounding errors grow with the root of the number of tasks, not with it.
            if task % _SUMMED == _SUMMED - 1 or task == len(packed) - 1:
                out[:, low:high] += partial[:, : high - low]
                partial[:] = 0


@compiled
def _count_digits(row: Any, ones: Any, twos: Any, fours: Any, eights: Any) -> None:
    for place in range(len(row)):
        carry = row[place]
        now = ones[place]
        ones[place] = now ^ carry
        carry &= now
        now = twos[place]
        twos[place] = now ^ carry
        carry &= now
        now = fours[place]
        fours[place] = now ^ carry
        carry &= now
        eights[place] |= carry


@compiled
def add_counts(packed: Any, chosen: Any, start: int, end: int, out: Any) -> None:
    """Count how many of the chosen masks keep each weight, over bytes `start` to `end`.

    Four binary digits of all counts are kept as packed bits while up to 15 masks are added, so
    that eight weights are counted at once.

    Args:
        packed: (T, n) uint8, contiguous.
        chosen: (T,) bool.
        start: byte to begin with.
        end: byte to end before.
        out: (8, n) float32, counts by the bits' place in a byte, added to.
    """
    digits = np.zeros((4, _SUM_CHUNK), np.uint8)
    for low in range(start, end, _SUM_CHUNK):
        high = min(low + _SUM_CHUNK, end)
        held = 0
        for task in range(len(packed)):
            if chosen[task]:
                row = packed[task, low:high]
                _count_digits(row, digits[0], digits[1], digits[2], digits[3])
                held += 1
            if held == _COUNTED or task == len(packed) - 1:
                for digit in range(4):
                    for place in range(8):
                        counts, bit = out[place, low:high], np.uint8(1 << place)
                        _add_chosen(
                            digits[digit, : high - low], counts, bit, np.float32(1 << digit)
                        )
                digits[:] = 0
                held = 0


KERNELS: tuple[Callable[..., None], ...] = (
    add_products,
    add_weighted,
    add_counts,
)
