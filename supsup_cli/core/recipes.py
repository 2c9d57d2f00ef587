"""Recipes: how a mask is learned. The measurements behind them are in examples/README.md."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from torch import Tensor
from torch.optim import Adam, Optimizer, RMSprop
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR


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
        negatives: displacement that makes a task's images into images of no class, one negative
            for each image, see `negatives.Warp`; 0 for a recipe that learns from no negatives.
        negatives_weight: factor on the loss of negatives. A small one separates tasks as well, and
            blurs the superposition less; measured, not derived.
        steps: number of updates unless the user says otherwise.
        batch_size: images per update unless the user says otherwise.
    """

    name: str
    optimiser: Literal["rmsprop", "adam"]
    learning_rate: float
    schedule: Literal["constant", "one-cycle"]
    per_fan_in: bool = False
    hidden_rate: float = 1.0
    last_rate: float = 1.0
    logit_scale: float = 1.0
    negatives: float = 0.0
    negatives_weight: float = 0.0
    steps: int = 1000
    batch_size: int = 128

    def settings(self) -> dict[str, int | float | str]:
        """List all settings but the name and the number of steps, for the task file.

        Negatives are listed where there are any: tasks learned without them are equal to those of
        programs that knew of none.
        """
        left_out = {"name", "steps"}
        if not self.negatives:
            left_out |= {"negatives", "negatives_weight"}
        known: dict[str, int | float | str] = asdict(self)
        return {
            key: int(value) if isinstance(value, bool) else value
            for key, value in known.items()
            if key not in left_out
        }


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
# For tasks whose inputs look alike. As many images go through the network in an update as in
# `default`, half of them negatives; twice the steps make up for the half that is missing.
SEPARABLE = replace(
    DEFAULT,
    name="separable",
    learning_rate=2.0,
    negatives=0.175,
    negatives_weight=0.1,
    steps=2000,
    batch_size=64,
)
RECIPES = {recipe.name: recipe for recipe in (DEFAULT, PAPER, SEPARABLE)}


def learning_rates(recipe: Recipe, shapes: Sequence[tuple[int, ...]]) -> list[float]:
    """Give each layer its learning rate, at the peak of the schedule.

    Args:
        recipe: see there.
        shapes: of the masked parameters from the input on, (out, in, …).
    """
    factors = [recipe.hidden_rate] * len(shapes)
    factors[-1] = recipe.last_rate
    factors[0] = 1.0
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
