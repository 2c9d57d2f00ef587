"""Tasks made from one set of images: permuted pixels, rotated images, split classes.

Pure functions on uint8 arrays. Permutation and nearest-neighbour rotation both only move pixels, so
each is one gather for all images.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from supsup_cli.temporary import imports_without_temporary_folder

_CHUNK = 1000


def permutation(pixels: int, number: int) -> NDArray[np.int64]:
    """Return which original pixel each pixel of permuted images is.

    Goodfellow et al. 2013 (permuted MNIST): image.flatten()[RandomState(number).permutation].

    Args:
        pixels: of one image.
        number: seed of numpy's RandomState, 0..2³²-1.

    Returns:
        (pixels,) int64.
    """
    return np.random.RandomState(number).permutation(pixels).astype(np.int64, copy=False)


def permuted(images: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """Permute every image's pixels by the `permutation` of that number, into a new array.

    Args:
        images: (N, C, H, W) uint8.
        number: see `permutation`.
    """
    return rearranged(images, permutation(math.prod(images.shape[1:]), number))


def rotated(images: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """Rotate every image counter-clockwise about its centre; pixels from outside are black.

    Equal to torchvision's `rotate` of the image tensor with the nearest neighbour.

    Args:
        images: (N, C, H, W) uint8.
        degrees: the angle.

    Returns:
        (N, C, H, W) uint8, a new array.
    """
    count, channels, height, width = images.shape
    source = _rotation(height, width, degrees)
    planes = images.reshape(count * channels, 1, height, width)
    turned = rearranged(planes, np.maximum(source, 0))
    turned.reshape(count * channels, height * width)[:, source < 0] = 0
    return turned.reshape(images.shape)


def split(
    images: NDArray[np.uint8], labels: NDArray[np.int64], index: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Keep the two classes 2·index and 2·index+1, as labels 0 and 1.

    Zenke et al. 2017 (split MNIST).

    Args:
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
        index: which pair of classes, from 0.

    Returns:
        images (M, C, H, W) uint8 and labels (M,) int64, M ≤ N, in their order.
    """
    kept = labels // 2 == index
    return images[kept], labels[kept] - 2 * index


def rearranged(images: NDArray[np.uint8], source: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Move every image's pixels.

    Args:
        images: (N, C, H, W) uint8.
        source: (C · H · W,) int64, the place that each pixel comes from.

    Returns:
        (N, C, H, W) uint8, a new array.
    """
    flat = images.reshape(len(images), len(source))
    out = np.empty_like(flat)
    for start in range(0, len(flat), _CHUNK):
        part = slice(start, start + _CHUNK)
        # mode "clip" lets numpy write into `out` directly; the indices are all in range
        np.take(flat[part], source, axis=1, out=out[part], mode="clip")
    return out.reshape(images.shape)


@cache
def _rotation(height: int, width: int, degrees: float) -> NDArray[np.int64]:
    """Find where each pixel of the rotated image comes from: (H·W,) int64, -1 for outside."""
    import torch

    with imports_without_temporary_folder():
        from torchvision.transforms import functional

    # float32 counts exactly up to 2²⁴, and 0 is what torchvision fills the outside with
    places = torch.arange(1, height * width + 1, dtype=torch.float32).reshape(1, height, width)
    turned = functional.rotate(places, degrees)
    return np.asarray(turned.numpy().reshape(-1), dtype=np.int64) - 1
