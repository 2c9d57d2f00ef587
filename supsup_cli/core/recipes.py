"""Recipes: how a mask is learned. The measurements behind them are in examples/README.md."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
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
        learning_rate: of every step if `schedule` is constant, else at the peak.
        schedule: constant, or one cycle (Smith & Topin 2018) over all steps.
        logit_scale: factor on the logits in the training loss alone. The frozen weights give
            logits too small for cross-entropy; scaled up, more images count as settled and the
            rest get the gradient.
        steps: number of updates unless the user says otherwise.
        batch_size: images per update unless the user says otherwise.
    """

    name: str
    optimiser: Literal["rmsprop", "adam"]
    learning_rate: float
    schedule: Literal["constant", "one-cycle"]
    logit_scale: float = 1.0
    steps: int = 1000
    batch_size: int = 128

    def settings(self) -> dict[str, int | float | str]:
        """List all settings but the name and the number of steps, for the task file."""
        return {key: value for key, value in asdict(self).items() if key not in ("name", "steps")}


PAPER = Recipe("paper", "rmsprop", 1e-4, "constant")
DEFAULT = Recipe("default", "adam", 2e-3, "one-cycle", logit_scale=1.5)
RECIPES = {recipe.name: recipe for recipe in (DEFAULT, PAPER)}


def optimiser(recipe: Recipe, scores: Iterable[Tensor]) -> tuple[Optimizer, LRScheduler]:
    """Open the update rule of a recipe over score tensors, and its learning-rate schedule."""
    parameters = list(scores)
    rule: Optimizer
    if recipe.optimiser == "adam":
        rule = Adam(parameters, lr=recipe.learning_rate, fused=True)
    else:
        rule = RMSprop(parameters, lr=recipe.learning_rate, foreach=True)
    if recipe.schedule == "one-cycle":
        return rule, OneCycleLR(rule, max_lr=recipe.learning_rate, total_steps=recipe.steps)
    return rule, ConstantLR(rule, factor=1.0, total_iters=0)
