"""Traits: what a task's images look like inside its mask, and how unusual other images are.

In a network that normalises, every mask looks sure: under a task's statistics, a foreign image has
values that the mask has never seen, and logits grow with them. So those values themselves tell
more. A few numbers computed from them, the image's traits, are compared with the task's own.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

LAYER_TRAITS = 5
# Number of parts, from the first layer to the last, in which layers are averaged.
_DEPTHS = 4
_LEAST_SQUARE, _LEAST_VARIANCE = 1e-4, 1e-3
# Nats of each factor e in 1 + D² / d. Chosen with the traits on conv-4 and gem-resnet18, see
# tests/benchmarks/README.md; 2 to 5 differ little.
_WEIGHT = 3.0


@dataclass(frozen=True)
class TypicalTraits:
    """The distribution of a task's own traits: mean and precision P = F Fᵀ.

    Attributes:
        mean: (d,) float32.
        factor: (d, d) float32, F, lower triangular.
    """

    mean: Tensor
    factor: Tensor

    def unusualness(self, traits: Tensor) -> Tensor:
        """Measure how far images are from the task's own: 3 ln(1 + D² / d), (B,) nats.

        D² is Mahalanobis's distance, about d for an image of the task. Its logarithm, as in the
        density of Student's t, lets the outputs still matter if an image is far from every task.

        Args:
            traits: (B, d) float32.
        """
        return _WEIGHT * (((traits - self.mean) @ self.factor).square().mean(1)).log1p()


def unknown_unusualness() -> float:
    """Return the unusualness, in nats, used when a task has no known traits: that of D² = d."""
    return _WEIGHT * math.log(2)


def parted_traits(values: Tensor, layers: int) -> TypicalTraits:
    """Read typical traits from a task file's numbers: the mean, then the rows of the triangle.

    Args:
        values: (d + d (d + 1) / 2,) float32.
        layers: number of the network's layers that normalise.

    Raises:
        ValueError: another number of values.
    """
    size = min(layers, _DEPTHS) * LAYER_TRAITS + 1
    expected = (size + size * (size + 1) // 2,)
    if values.shape != expected:
        raise ValueError(f"traits of shape {tuple(values.shape)} found, expected {expected}")
    factor = values.new_zeros(size, size)
    rows, columns = torch.tril_indices(size, size)
    factor[rows, columns] = values[size:]
    return TypicalTraits(values[:size], factor)


def layer_traits(values: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Summarise how one image's channels differ from a task's statistics.

    With m the mean of the image's own positions in a channel, normalised by the statistics, and v
    their variance over the statistics' variance: ln of the mean of m², ln of the mean of (ln v)²,
    the mean of ln v, ln of the largest m², ln of the largest v.

    Args:
        values: (B, C, …) float32, not normalised.
        mean: (C,) float32.
        variance: (C,) float32, of which none is zero.

    Returns:
        (5, B) float32.
    """
    places = values.flatten(2)
    middle = places.mean(2)
    # var_mean, which keeps a running sum, takes ten times as long on a CPU
    own = (places - middle[..., None]).square_().mean(2)
    squares = (middle - mean).square() / variance
    ratios = own / variance
    logs = (ratios + _LEAST_VARIANCE).log()
    far = (squares.mean(1), logs.square().mean(1), squares.amax(1), ratios.amax(1))
    mean_square, spread, largest, widest = (torch.stack(far) + _LEAST_SQUARE).log()
    return torch.stack((mean_square, spread, logs.mean(1), largest, widest))


def image_traits(layers: list[Tensor], doubt: Tensor) -> Tensor:
    """Average the traits of layers by depth, in four parts, and append the answer's entropy.

    Args:
        layers: in the network's order, (5, B) float32 each.
        doubt: (B,) float32, entropy of the outputs, nats.

    Returns:
        (B, d) float32; d = 21, less for fewer than four layers.
    """
    parts = min(_DEPTHS, len(layers))
    edges = [round(part * len(layers) / parts) for part in range(parts + 1)]
    means = [torch.stack(layers[first:end]).mean(0) for first, end in pairwise(edges)]
    return torch.cat((*means, doubt[None])).T
