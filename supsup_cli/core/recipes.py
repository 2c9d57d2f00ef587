"""Recipes: how a mask is learned. The measurements behind them are in examples/README.md."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from torch import Tensor
from torch.optim import Adam, Optimizer, RMSprop
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR

from .density import Density

# Layers that keep a smaller share than this learn more slowly, with its root: measured on LeNet
# 300-100 at er:1 (0.7 % kept), accuracy .94 in place of .84.
_SPARSE = 0.04


@dataclass(frozen=True)
class Recipe:
    """Settings of one way to learn a mask.

    Attributes:
        name: as the command line and the task file know it.
        optimiser: which update rule the scores follow.
        learning_rate: of every step if `schedule` is constant, else at the peak; divided by a
            layer's fan-in if `per_fan_in`.
        schedule: constant, or one cycle (Smith & Topin 2018) over all steps.
        per_fan_in: whether a layer's rate is `learning_rate` / fan_in. A step then moves the
            inputs of all units equally far, however wide the network is (Yang & Hu 2021).
        hidden_rate: factor on the rate of the layers between the first and the last.
        last_rate: factor on the rate of the last layer. A slow one keeps the tasks of wide
            networks apart in superposition; measured, not derived.
        logit_scale: factor on the logits in the training loss alone. A larger one gives better
            classifiers whose superposition is blurred; measured, not derived.
        steps: number of updates unless the user says otherwise.
        batch_size: images per update unless the user says otherwise.
        density: how many weights a mask keeps; None keeps those whose score is not below zero.
        transfer: whether scores start from the masks of earlier tasks.
        combine: share of calibration images that a combination of earlier masks must classify
            rightly to be kept instead of a new mask; None tries no combination.
    """

    name: str
    optimiser: Literal["rmsprop", "adam"]
    learning_rate: float
    schedule: Literal["constant", "one-cycle"]
    per_fan_in: bool = False
    hidden_rate: float = 1.0
    last_rate: float = 1.0
    logit_scale: float = 1.0
    steps: int = 1000
    batch_size: int = 128
    density: Density | None = None
    transfer: bool = False
    combine: float | None = None

    def settings(self) -> dict[str, int | float | str]:
        """List all settings but the name and the number of steps, for the task file.

        Those that only some tasks have are left out where they are not asked for, so that a task
        learned before they existed still answers to the same command.
        """
        known: dict[str, int | float | str] = asdict(self)
        asked = {
            "density": None if self.density is None else str(self.density),
            "transfer": int(self.transfer) or None,
            "combine": self.combine,
        }
        always = {
            key: int(value) if isinstance(value, bool) else value
            for key, value in known.items()
            if key not in ("name", "steps", *asked)
        }
        return always | {key: value for key, value in asked.items() if value is not None}


PAPER = Recipe("paper", "rmsprop", 1e-4, "constant")
DEFAULT = Recipe(
    "default",
    "adam",
    1.5,
    "one-cycle",
    per_fan_in=True,
    hidden_rate=0.5,
    last_rate=1 / 15,
    logit_scale=1.5,
)
RECIPES = {recipe.name: recipe for recipe in (DEFAULT, PAPER)}


def learning_rates(recipe: Recipe, shapes: Sequence[tuple[int, ...]]) -> list[float]:
    """Give each layer its learning rate, at the peak of the schedule.

    Args:
        recipe: see there.
        shapes: of the masked parameters from the input on, (out, in, …).
    """
    factors = [recipe.hidden_rate] * len(shapes)
    factors[-1] = recipe.last_rate
    factors[0] = 1.0
    if recipe.density is not None:
        # A layer of few weights is thrown about by steps that suit a layer of many.
        shares = recipe.density.shares(shapes)
        factors = [
            f * min(1.0, math.sqrt(d / _SPARSE)) for f, d in zip(factors, shares, strict=True)
        ]
    return [
        recipe.learning_rate * factor / (math.prod(shape[1:]) if recipe.per_fan_in else 1)
        for factor, shape in zip(factors, shapes, strict=True)
    ]


def optimiser(recipe: Recipe, scores: Iterable[Tensor]) -> tuple[Optimizer, LRScheduler]:
    """Open the update rule of a recipe, and its learning-rate schedule.

    Args:
        recipe: see there.
        scores: one tensor for each masked parameter, from the input on.
    """
    parameters = list(scores)
    rates = learning_rates(recipe, [tuple(one.shape) for one in parameters])
    groups = [{"params": [one], "lr": rate} for one, rate in zip(parameters, rates, strict=True)]
    adam = recipe.optimiser == "adam"
    rule: Optimizer = Adam(groups, fused=True) if adam else RMSprop(groups, foreach=True)
    if recipe.schedule == "one-cycle":
        return rule, OneCycleLR(rule, max_lr=rates, total_steps=recipe.steps)
    return rule, ConstantLR(rule, factor=1.0, total_iters=0)
