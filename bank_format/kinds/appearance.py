"""What a task's images look like, beside the Gaussians of its signature; optional.

Kept as float32; nothing here knows how the numbers are measured (FORMAT.md, *Signatures*).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bank_format.kinds.task_arrays import Arrays

__all__ = ["MOST_SEEN", "Appearance", "read_appearance", "store_appearance"]

# Training images of a signature that its appearance is made of, the first ones.
MOST_SEEN = 2048

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
        images: that the signature was made of.
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
    return Appearance(mean, matrix, quantiles, min(images, MOST_SEEN))
