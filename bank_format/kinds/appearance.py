"""What a task's images look like, beside the Gaussians of its signature; optional.

Kept as float32; nothing here knows how the numbers are measured (FORMAT.md, *Signatures*).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bank_format.kinds.task_arrays import Arrays

__all__ = ["Appearance", "images_seen", "read_appearance", "store_appearance"]

# Training images that an appearance is made of, and the values of all of them, at most; but always
# so many.
_MOST, _VALUES, _LEAST = 2000, 6_144_000, 320

_MEAN = "signature/look-mean"
_FACTORS = "signature/look-factors"
_QUANTILES = "signature/look-quantiles"


@dataclass(frozen=True, eq=False)
class Appearance:
    """Where the numbers of a task's images lie.

    Attributes:
        mean: (S,) float32.
        matrix: (S, S) float32, zero below its diagonal: (v − mean) matrix is uncorrelated.
        quantiles: (L,) float32, rising: squared lengths of that for the task's own images, at the
            levels that FORMAT.md lists.
        images: that all this was measured on.
    """

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32]
    quantiles: NDArray[np.float32]
    images: int


def images_seen(images: int, shape: tuple[int, int, int]) -> int:
    """Count how many of a signature's training images, the first ones, an appearance is made of.

    Args:
        images: of the signature.
        shape: (C, H, W) of the bank's input.
    """
    return min(images, max(_LEAST, min(_MOST, _VALUES // math.prod(shape))))


def store_appearance(appearance: Appearance) -> Arrays:
    """Name the arrays as a task's file keeps them."""
    matrix = appearance.matrix
    return {
        _MEAN: appearance.mean.astype(np.float32),
        _FACTORS: matrix[np.triu_indices(len(matrix))].astype(np.float32),
        _QUANTILES: appearance.quantiles.astype(np.float32),
    }


def read_appearance(arrays: Arrays, numbers: int, images: int) -> Appearance | None:
    """Undo `store_appearance`; None where a file has none, or of other numbers than the reader's.

    Args:
        arrays: of a signature.
        numbers: S that the reader measures.
        images: that it was made of, see `images_seen`.
    """
    names = (_MEAN, _FACTORS, _QUANTILES)
    found = [arrays[name] for name in names if name in arrays]
    if len(found) < len(names) or any(one.dtype != np.float32 for one in found):
        return None
    mean, factors, quantiles = (one.astype(np.float32) for one in found)
    shapes = (mean.shape, factors.shape, quantiles.ndim)
    if shapes != ((numbers,), (numbers * (numbers + 1) // 2,), 1):
        return None
    matrix = np.zeros((numbers, numbers), np.float32)
    matrix[np.triu_indices(numbers)] = factors
    return Appearance(mean, matrix, quantiles, images)
