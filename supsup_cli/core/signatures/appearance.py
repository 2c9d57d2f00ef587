"""What an image looks like before any network sees it: contrast, spectrum, colour, flat areas.

Features of a random network hardly tell photos from digits or noise, although these obviously look
different. The eleven numbers here do tell them apart, and they depend on nothing but the image.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NUMBERS = 11
# Least number of images for a task's appearance. They may be the ones that it learns from, because
# learning does not change what they look like.
LEAST_IMAGES = 200
_VALUES_AT_ONCE = 1 << 20
_WHITE = 255
_STEPS = (1, 2, 4, 8)
_BLOCKS = 4  # along each side
_DARK, _BRIGHT = 5, 250
# Added before logarithms are taken, so that nothing is infinitely unusual.
_CONTRAST, _DIFFERENCE, _COLOUR, _SHARE, _BLOCK = 1e-3, 1e-4, 2e-3, 0.02, 4e-3
_RIDGE = 1e-4  # added to the variance of each number


def appearance(images: Tensor) -> Tensor:
    """Measure what images look like: see FORMAT.md, *Signatures*.

    Nearly all sums are of whole numbers, in float64, and so the same in any order.

    Args:
        images: (N, C, H, W) uint8.

    Returns:
        (N, 11) float64 on the CPU.
    """
    at_once = max(1, _VALUES_AT_ONCE // images[:1].numel()) if len(images) else 1
    parts = [torch.empty(0, NUMBERS, dtype=torch.float64)]
    parts += [_measured(part.double()).cpu() for part in images.split(at_once) if len(part)]
    return torch.cat(parts)


def fit_appearance(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find what makes a task's numbers uncorrelated: z = (v − mean) A, A = L⁻ᵀ, C + ρ I = L Lᵀ.

    Args:
        values: (N, 11) float64, N ≥ 1.

    Returns:
        mean (11,) and A (11, 11), float64; C is the covariance, ρ = 10⁻⁴.
    """
    mean = values.mean(0)
    apart = values - mean
    covariance = apart.T @ apart / len(values) + _RIDGE * np.eye(values.shape[1])
    return mean, np.linalg.inv(np.linalg.cholesky(covariance)).T


def oddness(
    values: NDArray[np.float64], mean: NDArray[np.float32], matrix: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the squared distance |(v − mean) A|² of numbers (N, 11) from a task's own: (N,)."""
    turned = (values - mean.astype(np.float64)) @ matrix.astype(np.float64)
    return np.asarray(np.square(turned).sum(1))


def _measured(images: Tensor) -> Tensor:
    """Measure (N, C, H, W) float64 bytes: (N, 11) float64."""
    channels, height, width = images.shape[1:]
    contrast = _deviation(images, (1, 2, 3)) + _CONTRAST
    spread = [_difference(images, min(step, min(height, width) - 1)) for step in _STEPS]
    grey = images.sum(1, keepdim=True)
    apart = images * channels - grey  # times the number of channels
    colour = apart.square().mean((1, 2, 3)).sqrt() / (_WHITE * channels)
    shades = apart - apart.mean((2, 3), keepdim=True)
    own = shades.square().mean((1, 2, 3)).sqrt() / (_WHITE * channels)
    flat = _mean_of_both(images, 1, lambda one: (one == 0).double())
    blocks = grey[:, 0].unfold(1, height // _BLOCKS, height // _BLOCKS)
    blocks = blocks.unfold(2, width // _BLOCKS, width // _BLOCKS)[:, :_BLOCKS, :_BLOCKS]
    local = (_deviation(blocks, (3, 4)) / channels + _BLOCK).log().flatten(1)
    return torch.stack(
        (
            contrast.log(),
            (spread[0] / contrast).log(),
            *((wide / narrow).log() for narrow, wide in pairwise(spread)),
            (colour + _COLOUR).log(),
            (own + _COLOUR).log(),
            ((images <= _DARK).double().mean((1, 2, 3)) + _SHARE).log(),
            ((images >= _BRIGHT).double().mean((1, 2, 3)) + _SHARE).log(),
            (flat + _SHARE).log(),
            local.std(1, correction=0),
        ),
        dim=1,
    )


def _deviation(values: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Return the standard deviation over some sizes, of bytes, as a share of white."""
    count = 1
    for size in sizes:
        count *= values.shape[size]
    squares = values.square().sum(sizes) * count - values.sum(sizes).square()
    return squares.clamp_min(0).sqrt() / (count * _WHITE)


def _difference(images: Tensor, step: int) -> Tensor:
    """Return the root of the mean squared difference of values so many pixels apart, plus 10⁻⁴."""
    return _mean_of_both(images, step, torch.square).sqrt() / _WHITE + _DIFFERENCE


def _mean_of_both(images: Tensor, step: int, judge: Callable[[Tensor], Tensor]) -> Tensor:
    """Judge differences along rows and along columns: the mean of the two means, (N,)."""
    across = judge(images[..., step:] - images[..., :-step])
    down = judge(images[..., step:, :] - images[..., :-step, :])
    return (across.mean((1, 2, 3)) + down.mean((1, 2, 3))) / 2
