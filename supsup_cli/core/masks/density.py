"""Sparse masks: how many weights of each layer a mask keeps, and the gain of a kept weight."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_FACTOR = "er:"
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?(?:e-?[0-9]{1,2})?", re.ASCII)
# The share at which the gain is one: about that of masks made by a threshold at zero.
_FULL_SHARE = 0.5


@dataclass(frozen=True)
class Density:
    """The share of weights that masks keep: one for all layers, or after Erdős and Rényi.

    Attributes:
        value: share of every layer, or the factor S; above 0.
        by_size: whether `value` is S. A layer's share is then min(½, S · (out + in) / weights):
            the smaller the layer, the larger its share (Mocanu et al. 2018, as in Wortsman et al.
            2020). A larger S is denser.

    Raises:
        ValueError: the value is out of range.
    """

    value: float
    by_size: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.value <= (math.inf if self.by_size else 1):
            raise ValueError(f"density {self} found, expected a share in (0, 1] or er:S with S > 0")

    def __str__(self) -> str:
        """Format the density as `parse_density` reads it."""
        return f"{_FACTOR if self.by_size else ''}{self.value!r}".removesuffix(".0")

    def shares(self, shapes: Sequence[tuple[int, ...]]) -> list[float]:
        """Return the share of weights to keep of each layer, (out, in, …), in (0, 1]."""
        if not self.by_size:
            return [self.value] * len(shapes)
        return [
            min(_FULL_SHARE, self.value * sum(shape[:2]) / math.prod(shape)) for shape in shapes
        ]

    def kept(self, shapes: Sequence[tuple[int, ...]]) -> list[int]:
        """Count the weights to keep of each layer: its share, rounded, and at least one."""
        return [
            max(1, round(share * math.prod(shape)))
            for share, shape in zip(self.shares(shapes), shapes, strict=True)
        ]


def parse_density(text: str) -> Density:
    """Read "0.1", a share, or "er:4", the paper's factor.

    Raises:
        ValueError: it is neither, or out of range.
    """
    number = text.removeprefix(_FACTOR)
    if not _NUMBER.fullmatch(number):
        raise ValueError(f"density {text!r} found, expected a share in (0, 1] or er:S with S > 0")
    return Density(float(number), by_size=text.startswith(_FACTOR))


def gain(kept: int, weights: int) -> float:
    """Compute the gain of a kept weight in a sparse layer: √(½ / share).

    If a layer keeps a share d of its weights, its outputs have 2d times the variance that one half
    gives. Several such layers shrink the logits until softmax cannot tell them apart; this gain
    restores the scale that the frozen weights were drawn for (He et al. 2015; Ramanujan et al. 2020
    scale sparse networks in the same way).
    """
    return math.sqrt(_FULL_SHARE * weights / max(1, kept))


def mask_values(masks: Mapping[str, Tensor], *, sparse: bool) -> dict[str, Tensor]:
    """Return the numbers that masks stand for.

    Args:
        masks: parameter name → bool of its shape.
        sparse: whether a density was asked for, so that kept weights have their gain.

    Returns:
        parameter name → float32 of its shape: zero, and one or the layer's gain.
    """
    return {
        name: mask.to(torch.float32) * (gain(int(mask.sum()), mask.numel()) if sparse else 1.0)
        for name, mask in masks.items()
    }
