"""Update rules of the scores, piece by piece, and the schedule of their rates.

Adam, RMSprop and SGD with momentum equal those of `torch.optim`, which imports a compiler and so
takes a second, a third of learning a small task. Elementwise work goes piece by piece, so that the
next operation finds its data still in the processor's cache.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from .recipes import Recipe, half_cosine, inverse_root, learning_rates

# Values of a parameter to update at a time: with gradient, weights and moments 6 MiB. Each piece
# starts its operations anew, so LeNet is one piece per layer.
PIECE = 1 << 18
_EPSILON, _SQUARE_MEMORY, _RMS_MEMORY = 1e-8, 0.999, 0.99
_MOMENTUM, _DECAY = 0.9, 1e-4
# One cycle: share of rising steps, first and last rate as shares of the peak, momentum at the ends
# and at the peak.
_RISING, _FIRST, _LAST = 0.3, 1 / 25, 1 / 25e4
_MOMENTUM_AT_ENDS, _MOMENTUM_AT_PEAK = 0.95, 0.85

MOMENTS = {
    "adam": ("exp_avg", "exp_avg_sq"),
    "rmsprop": ("square_avg",),
    "sgd": ("momentum_buffer",),
}


def rate_and_momentum(recipe: Recipe, step: int) -> tuple[float, float]:
    """Return the factor on the learning rates, and the momentum, for step number `step`.

    One cycle: Smith & Topin 2018, with cosines as Howard & Gugger 2020 have it.
    """
    if recipe.schedule == "constant":
        return 1.0, _MOMENTUM
    if recipe.schedule == "inverse-root":
        return inverse_root(step), _MOMENTUM
    if recipe.schedule == "cosine":
        return half_cosine(recipe.steps, step), _MOMENTUM
    peak, end = _RISING * recipe.steps - 1, recipe.steps - 1
    if step <= peak:
        way = _cosine(step / peak)
        ends, first = (_FIRST, 1.0), (_MOMENTUM_AT_ENDS, _MOMENTUM_AT_PEAK)
    else:
        way = _cosine((step - peak) / (end - peak))
        ends, first = (1.0, _LAST), (_MOMENTUM_AT_PEAK, _MOMENTUM_AT_ENDS)
    return ends[0] + (ends[1] - ends[0]) * way, first[0] + (first[1] - first[0]) * way


class UpdateRule:
    """What a recipe's update rule remembers for each parameter, and its steps.

    Args:
        recipe: optimiser, rates, schedule.
        scores: parameter name → float32, from the input on, contiguous.

    Attributes:
        moments: key → parameter name → float32 of the parameter's shape.
    """

    def __init__(self, recipe: Recipe, scores: Mapping[str, Tensor]) -> None:
        self._recipe = recipe
        rates = learning_rates(recipe, [tuple(score.shape) for score in scores.values()])
        self._peaks = dict(zip(scores, rates, strict=True))
        self.moments = {
            key: {name: torch.zeros_like(score) for name, score in scores.items()}
            for key in MOMENTS[recipe.optimiser]
        }
        self._count = torch.zeros((), device=next(iter(scores.values())).device)
        self.begin(0)

    def begin(self, steps_done: int) -> None:
        """Set rates and momentum for step number `step`."""
        self._factor, self._momentum = rate_and_momentum(self._recipe, steps_done)
        self._count.fill_(steps_done + 1)

    def update(self, name: str, score: Tensor, moments: list[Tensor], gradient: Tensor) -> None:
        """Update a piece of a parameter in place.

        Args:
            name: of the parameter.
            score: float32, the piece.
            moments: of the piece, in the order of `MOMENTS`.
            gradient: of the piece.
        """
        rate = self._peaks[name] * self._factor
        if self._recipe.optimiser == "rmsprop":
            (square,) = moments
            square.mul_(_RMS_MEMORY).addcmul_(gradient, gradient, value=1 - _RMS_MEMORY)
            score.addcdiv_(gradient, square.sqrt().add_(_EPSILON), value=-rate)
            return
        if self._recipe.optimiser == "sgd":
            (velocity,) = moments
            velocity.mul_(_MOMENTUM).add_(gradient).add_(score, alpha=_DECAY)
            score.add_(velocity, alpha=-rate)
            return
        mean, square = moments
        torch._fused_adam_(
            *([score], [gradient], [mean], [square], [], [self._count]),
            lr=rate,
            beta1=self._momentum,
            beta2=_SQUARE_MEMORY,
            weight_decay=0.0,
            eps=_EPSILON,
            amsgrad=False,
            maximize=False,
        )


def pieces(tensor: Tensor) -> tuple[Tensor, ...]:
    """Cut a contiguous tensor into views that are updated one by one.

    A GPU gets the whole tensor at once, because each launch of an operation costs time there.
    """
    flat = tensor.view(-1)
    parts: tuple[Tensor, ...] = flat.split(PIECE if tensor.device.type == "cpu" else len(flat))
    return parts


def _cosine(share: float) -> float:
    """Go from 0 to 1 along half a cosine."""
    return (1 - math.cos(math.pi * share)) / 2
