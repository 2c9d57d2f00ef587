"""Turn scores into masks: the threshold, the effective weights, stacks of packed masks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from supsup_cli.core.networks.normalisation import Statistics
from supsup_cli.core.networks.traits import TypicalTraits
from supsup_cli.core.seeds import generator

from . import bit_kernels

Masks = dict[str, Tensor]

_NEAR = 0.25  # of the width of scores over random weights
# The largest float32 below zero: "score > this" means "score ≥ 0", including zero.
_JUST_BELOW_ZERO = -1e-45
# The derivative of ReLU selects W where the score is above a bound, and zero elsewhere. It is
# PyTorch's only single kernel for that: half the memory traffic of a comparison and a product.
select_above = torch.ops.aten.threshold_backward.grad_input


def initial_scores(shapes: Mapping[str, tuple[int, ...]], *, seed: int, task: str) -> Masks:
    """Draw scores from U(−1/√fan_in, 1/√fan_in), each parameter in its own stream.

    Kaiming uniform with a = √5, as in the official code: about half of the scores are positive.
    Scores of units, which have no fan-in, start at zero, with all units kept.

    Returns:
        parameter name → float32 of its shape, on the CPU.
    """
    scores = {}
    for name, shape in shapes.items():
        if len(shape) < 2:
            scores[name] = torch.zeros(shape)
            continue
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        random = torch.rand(shape, generator=generator(seed, "scores", task, name))
        scores[name] = random.mul_(2 * bound).sub_(bound)
    return scores


def kept_scores(shapes: Mapping[str, tuple[int, ...]], *, seed: int, task: str) -> Masks:
    """Draw scores from U(0, ¼ / √fan_in): at first a mask keeps every weight.

    It is for trained weights: dropping half of them at random would destroy what they know, and the
    first steps would learn it again (Mallya et al. 2018, section 3, start this way too). Scores
    this near to zero change sign within a few steps; the factor is measured, not derived.

    Returns:
        parameter name → float32 of its shape, on the CPU.
    """
    drawn = initial_scores(shapes, seed=seed, task=task)
    return {name: score.abs_().mul_(_NEAR) for name, score in drawn.items()}


def threshold(scores: Mapping[str, Tensor]) -> Masks:
    """Keep the weights with a score of at least zero (Mallya et al. 2018, "Piggyback").

    Returns:
        parameter name → bool of its shape.
    """
    return {name: score >= 0 for name, score in scores.items()}


def write_supermask(
    effective: Mapping[str, Tensor], weights: Mapping[str, Tensor], scores: Mapping[str, Tensor]
) -> None:
    """Write W ⊙ 1[score ≥ 0] into `effective`, in place.

    Args:
        effective: leaves of the graph, float32, one per masked parameter.
        weights: frozen weights, float32.
        scores: float32.
    """
    with torch.no_grad():
        for name, leaf in effective.items():
            select_positive(leaf, weights[name], scores[name])


def select_positive(effective: Tensor, weight: Tensor, score: Tensor) -> None:
    """Write W ⊙ 1[score ≥ 0] of one parameter, or a piece of it, in one pass over memory.

    If gradients are recorded, `effective` must not be a leaf that needs one.
    """
    select_above(weight, score, _JUST_BELOW_ZERO, grad_input=effective)


@dataclass(frozen=True)
class MaskLayout:
    """Where each masked parameter's bits are in a packed mask; each parameter starts on a byte."""

    shapes: Mapping[str, tuple[int, ...]]

    @property
    def bytes(self) -> int:
        """Length of one packed mask, in bytes."""
        return sum(_packed_bytes(shape) for shape in self.shapes.values())

    def split(self, flat: Tensor) -> Masks:
        """Cut (…, 8 · bytes) values into a (…, *shape) view for each parameter."""
        lengths = [_packed_bytes(shape) * 8 for shape in self.shapes.values()]
        starts = accumulate(lengths, initial=0)
        return {
            name: flat[..., start : start + math.prod(shape)].unflatten(-1, shape)
            for (name, shape), start in zip(self.shapes.items(), starts, strict=False)
        }

    def join(self, values: Mapping[str, Tensor], lead: int = 0) -> Tensor:
        """Lay (…, *shape) values out as (…, 8 · bytes), padding zero; `lead` sizes come first."""
        parts = []
        for name, shape in self.shapes.items():
            part = values[name].flatten(lead)
            padding = _packed_bytes(shape) * 8 - part.shape[-1]
            parts.append(torch.nn.functional.pad(part, (0, padding)) if padding else part)
        return torch.cat(parts, dim=-1)


@dataclass(frozen=True)
class MaskStack:
    """T packed masks over one network: one bit per weight, never all unpacked at once.

    Attributes:
        packed: (T, bytes) uint8, least significant bit first.
        layout: which bits belong to which parameter.
        gains: (T, L) float32, gain of a kept weight in each of the L parameters; None: one.
        statistics: of each task, for a network that normalises; None for one that does not.
        traits: typical traits of each task's images; None if its file has none.
    """

    packed: Tensor
    layout: MaskLayout
    gains: Tensor | None = None
    statistics: Sequence[Statistics] | None = None
    traits: Sequence[TypicalTraits | None] | None = None

    def __len__(self) -> int:
        return self.packed.shape[0]

    def masks(self, index: int) -> Masks:
        """Unpack one task's mask, with its statistics.

        Returns:
            parameter name → float32 of its shape, zeros and gains; buffer name → statistics.
        """
        masks = self.layout.split(bit_kernels.unpack(self.packed[index]))
        if self.gains is not None:
            gains = self.gains[index].tolist()
            for name, gain in zip(masks, gains, strict=True):
                if gain != 1:
                    masks[name] = masks[name] * gain
        return masks if self.statistics is None else masks | self.statistics[index]

    def subset(self, chosen: Sequence[int]) -> "MaskStack":
        """Take some of the tasks, in the order given."""
        rows = list(chosen)
        gains = None if self.gains is None else self.gains[rows]
        own = None if self.statistics is None else tuple(self.statistics[row] for row in rows)
        traits = None if self.traits is None else tuple(self.traits[row] for row in rows)
        return MaskStack(self.packed[rows], self.layout, gains, own, traits)

    def typical(self, index: int) -> TypicalTraits | None:
        """Return what is typical of one task's images; None if that is not known."""
        return None if self.traits is None else self.traits[index]

    def weighted_sum(self, alphas: Tensor) -> Tensor:
        """Add up all masks with coefficients: (B, T) float32 → (B, 8 · bytes) float32."""
        if len(alphas) == 1 and bool((alphas == alphas[0, 0]).all()):
            return alphas[:, :1] * self._sum
        return self._weighted_sum(alphas)

    @cached_property
    def _sum(self) -> Tensor:
        """The plain sum, (1, 8 · bytes) float32; every One-Shot decision starts with it."""
        return self._weighted_sum(torch.ones(1, len(self), device=self.packed.device))

    def _weighted_sum(self, alphas: Tensor) -> Tensor:
        if self.gains is None:
            return bit_kernels.weighted_sum(alphas, self.packed)
        parts = [
            bit_kernels.weighted_sum(alphas * gain, part)
            for gain, part in zip(self.gains.T, self._parts(), strict=True)
        ]
        return torch.cat(parts, dim=1)

    def products(self, vectors: Tensor) -> Tensor:
        """Multiply (B, 8 · bytes) float32 vectors by every mask: (B, T) float32."""
        if self.gains is None:
            return bit_kernels.products(vectors, self.packed)
        total = vectors.new_zeros(len(vectors), len(self))
        lengths = [part.shape[1] * 8 for part in self._parts()]
        pieces = zip(self.gains.T, vectors.split(lengths, dim=1), self._parts(), strict=True)
        for gain, vector, part in pieces:
            total.addcmul_(bit_kernels.products(vector, part), gain)
        return total

    def _parts(self) -> tuple[Tensor, ...]:
        """Cut the packed masks by parameter: (T, its bytes) uint8 each."""
        sizes = [_packed_bytes(shape) for shape in self.layout.shapes.values()]
        parts: tuple[Tensor, ...] = self.packed.split(sizes, dim=1)
        return parts


def _packed_bytes(shape: tuple[int, ...]) -> int:
    return -(-math.prod(shape) // 8)
