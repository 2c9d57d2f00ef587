"""The model "gaussians-1" of a signature: a Gaussian of few directions for each class.

Means have 8 bits and directions 4, which is enough to recognise a task in the frozen network
(FORMAT.md, *Signatures*). Reading returns float32; nothing here needs a network.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bank_format.kinds.task_arrays import Arrays

__all__ = [
    "GAUSSIANS",
    "Gaussians",
    "directions_that_fit",
    "read_gaussians",
    "rounded",
    "store_gaussians",
]

GAUSSIANS = "gaussians-1"

_MEANS = "signature/means"
_MEAN_SCALES = "signature/mean-scales"
_DIRECTIONS = "signature/directions"
_DIRECTION_SCALES = "signature/direction-scales"
_VARIANCES = "signature/variances"
_NOISE = "signature/noise"
_SHARES = "signature/shares"
_QUANTILES = "signature/quantiles"

_MEAN_LEVELS, _DIRECTION_LEVELS = 127, 7
_MIDDLE = 8  # stands for zero in four bits
_MOST_DIRECTIONS = 24
_FLOAT = 4  # bytes


@dataclass(frozen=True, eq=False)
class Gaussians:
    """A task's classes in the features of the frozen network.

    A component, one for each class or for several alike, has mean μ, k directions V with variances
    w, and variance σ² in all others: covariance Vᵀ (diag(w) − σ² I) V + σ² I (Tipping & Bishop
    1999, mixtures of probabilistic principal components).

    Attributes:
        means: (M, D) float32.
        directions: (M, k, D) float32, of about unit length; zero where a class has fewer.
        variances: (M, k) float32; zero where a class has fewer directions.
        noise: (M,) float32, σ² of each, above zero.
        shares: (M,) float32, of the images in each, above zero.
        quantiles: (L,) float32, rising: Q of the task's own images that it has not learned from,
            at the levels that FORMAT.md lists; none where there were no such images.
    """

    means: NDArray[np.float32]
    directions: NDArray[np.float32]
    variances: NDArray[np.float32]
    noise: NDArray[np.float32]
    shares: NDArray[np.float32]
    quantiles: NDArray[np.float32]


def directions_that_fit(classes: int, features: int, size: int) -> int:
    """Compute how many directions each class may have if a signature must fit into some bytes.

    Args:
        classes: M of the task.
        features: D of the network.
        size: the most bytes for all arrays.

    Returns:
        k, 0..24, at most half of the features.
    """
    mean = features + 3 * _FLOAT
    direction = -(-features // 2) + 2 * _FLOAT
    return max(0, min(_MOST_DIRECTIONS, features // 2, (size // classes - mean) // direction))


def store_gaussians(gaussians: Gaussians) -> Arrays:
    """Round a task's Gaussians to what its file stores.

    Returns:
        Arrays by name, see FORMAT.md; `read_gaussians` returns their values.
    """
    means, mean_scales = rounded(gaussians.means, _MEAN_LEVELS)
    directions, direction_scales = rounded(gaussians.directions, _DIRECTION_LEVELS)
    nibbles = (directions + _MIDDLE).astype(np.uint8)
    if nibbles.shape[-1] % 2:
        nibbles = np.concatenate((nibbles, np.full_like(nibbles[..., :1], _MIDDLE)), axis=-1)
    return {
        _MEANS: means,
        _MEAN_SCALES: mean_scales,
        _DIRECTIONS: nibbles[..., ::2] | nibbles[..., 1::2] << 4,
        _DIRECTION_SCALES: direction_scales,
        _VARIANCES: gaussians.variances.astype(np.float32),
        _NOISE: gaussians.noise.astype(np.float32),
        _SHARES: gaussians.shares.astype(np.float32),
        _QUANTILES: gaussians.quantiles.astype(np.float32),
    }


def read_gaussians(arrays: Arrays, features: int) -> Gaussians:
    """Undo `store_gaussians`, up to rounding.

    Args:
        arrays: of a signature of the model `GAUSSIANS`.
        features: D of the network.

    Raises:
        ValueError: an array is missing, has another type or shape, or impossible numbers.
    """
    means = _checked(arrays, _MEANS, "int8", (-1, features))
    classes = len(means)
    packed = _checked(arrays, _DIRECTIONS, "uint8", (classes, -1, -(-features // 2)))
    count = packed.shape[1]
    nibbles = np.stack((packed & 15, packed >> 4), axis=-1).reshape(
        classes, count, 2 * packed.shape[2]
    )
    directions = nibbles[..., :features].astype(np.float32) - _MIDDLE
    noise = _checked(arrays, _NOISE, "float32", (classes,))
    variances = _checked(arrays, _VARIANCES, "float32", (classes, count))
    shares = _checked(arrays, _SHARES, "float32", (classes,))
    quantiles = _checked(arrays, _QUANTILES, "float32", (-1,))
    if (variances < 0).any() or (noise <= 0).any() or (shares <= 0).any():
        raise ValueError("a variance below zero, or a noise or share not above zero")
    scales = _checked(arrays, _MEAN_SCALES, "float32", (classes,))
    lengths = _checked(arrays, _DIRECTION_SCALES, "float32", (classes, count))
    for factors, levels in ((scales, _MEAN_LEVELS + 1), (lengths, _MIDDLE)):
        if not (np.abs(factors) <= np.finfo(np.float32).max / levels).all():
            raise ValueError("a scale found that makes numbers larger than float32 has")
    return Gaussians(
        means.astype(np.float32) * scales[:, None],
        directions * lengths[:, :, None],
        variances,
        noise,
        shares,
        quantiles,
    )


def rounded(
    values: NDArray[np.floating], levels: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round each row to whole multiples of its own scale, −levels … levels."""
    scales = (np.abs(values).max(axis=-1, initial=0) / levels).astype(np.float32)
    steps = np.where(scales > 0, scales, 1).astype(np.float64)
    whole = np.rint(values.astype(np.float64) / steps[..., None])
    return np.clip(whole, -levels, levels).astype(np.int8), scales


def _checked(arrays: Arrays, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    array = arrays.get(name)
    if array is None:
        raise ValueError(f"array {name} missing")
    fits = len(array.shape) == len(shape) and all(
        expected in (-1, found) for found, expected in zip(array.shape, shape, strict=True)
    )
    if array.dtype != np.dtype(dtype) or not fits:
        expected = [size if size >= 0 else "any" for size in shape]
        raise ValueError(
            f"array {name}: {array.dtype} {list(array.shape)} found, expected {dtype} {expected}"
        )
    return array
