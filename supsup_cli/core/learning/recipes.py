"""Recipes: how a mask is learned. tests/benchmarks/README.md has the measurements behind them."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from supsup_cli.core.masks.density import Density
from supsup_cli.core.networks.specs import Kind

_RISING_STEPS = 100
_FULL_STEPS = 300
_COMBINATION_STEPS = 200

# Layers that keep a smaller share than this learn more slowly, by the root of the share: measured
# on LeNet 300-100 at er:1 (0.7 % kept), accuracy .94 instead of .84.
_SPARSE = 0.04


@dataclass(frozen=True)
class Recipe:
    """Settings of one way to learn a mask.

    Attributes:
        name: on the command line and in the task file.
        optimiser: update rule of the scores; sgd with momentum 0.9, decay 1e-4.
        learning_rate: rate of every step if `schedule` is constant, else the peak; divided by a
            layer's fan-in if `per_fan_in`.
        schedule: constant; one cycle (Smith & Topin 2018) over all steps; half a cosine from the
            peak down to zero (Loshchilov & Hutter 2017); or inverse-root, which needs no known end:
            it rises over 100 steps and falls as 1/√t from the 300th on.
        per_fan_in: whether a layer's rate is `learning_rate` / fan_in. A step then moves the
            inputs of all units equally far, however wide the network is (Yang & Hu 2021).
        hidden_rate: factor on the rate of the layers between the first and the last.
        last_rate: factor on the rate of the last layer. A slow one keeps the tasks of wide
            networks apart in superposition; measured, not derived.
        logit_scale: factor on the logits, only in the training loss. A larger one gives better
            classifiers with a more blurred superposition; measured, not derived.
        negatives: displacement that turns a task's images into images of no class, one negative for
            each image, see `negatives.Warp`; 0 for a recipe without negatives.
        negatives_weight: factor on the loss of negatives. A small one separates tasks as well, and
            blurs the superposition less; measured, not derived.
        steps: number of updates unless the user says otherwise.
        batch_size: images per update unless the user says otherwise.
        density: how many weights a mask keeps; None keeps those with a score of at least zero.
        transfer: whether scores start from the masks of earlier tasks.
        patience: number of checks on calibration images without improvement before learning stops,
            see `early_stopping.EarlyStopping`; 0 never stops.
        augment: random changes of images in each step, see `augmentation`; "" for none.
        combine: share of calibration images that a combination of earlier masks must classify
            rightly to be kept instead of a new mask; None tries no combination.
        drop: over trained weights, the share of all masked weights that a mask drops; 0 elsewhere.
    """

    name: str
    optimiser: Literal["rmsprop", "adam", "sgd"]
    learning_rate: float
    schedule: Literal["constant", "one-cycle", "cosine", "inverse-root"]
    per_fan_in: bool = False
    hidden_rate: float = 1.0
    last_rate: float = 1.0
    logit_scale: float = 1.0
    negatives: float = 0.0
    negatives_weight: float = 0.0
    steps: int = 1000
    batch_size: int = 128
    density: Density | None = None
    transfer: bool = False
    combine: float | None = None
    augment: str = ""
    patience: int = 0
    drop: float = 0.0

    def settings(self) -> dict[str, int | float | str]:
        """List all settings but the name and the number of steps, for the task file.

        Settings that only some tasks have are left out unless asked for, so that a task learned
        before they existed still matches the same command.
        """
        known: dict[str, int | float | str] = asdict(self)
        asked = {
            "density": None if self.density is None else str(self.density),
            "transfer": int(self.transfer) or None,
            "combine": self.combine,
            "augment": self.augment or None,
            "patience": self.patience or None,
            "drop": self.drop or None,
            "negatives": self.negatives or None,
            "negatives_weight": self.negatives_weight or None,
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
# For tasks with similar inputs. An update has as many images as in `default`, but half of them are
# negatives; twice the steps make up for that.
SEPARABLE = replace(
    DEFAULT,
    name="separable",
    learning_rate=2.0,
    negatives=0.175,
    negatives_weight=0.1,
    steps=2000,
    batch_size=64,
)
# For thousands of tasks: two fifths of the steps, at a higher rate. Without scaled logits R stays
# far from that of wrong masks, which many tasks need more than the last bit of accuracy.
FAST = replace(DEFAULT, name="fast", learning_rate=4.0, logit_scale=1.0, steps=400)
# For streams, which have an unknown number of steps; it has no name on the command line.
STREAM = replace(DEFAULT, name="stream", schedule="inverse-root")
RECIPES = {recipe.name: recipe for recipe in (DEFAULT, PAPER, SEPARABLE, FAST)}

# Rates were chosen on conv-4 with MNIST, where those of perceptrons learn far more slowly.
_CONVOLUTION = replace(
    DEFAULT,
    name="default-convolution",
    learning_rate=10.0,
    hidden_rate=1.0,
    last_rate=0.1,
    patience=4,
)

# Over trained weights: `learning_rate` is the head's. Chosen on MobileNetV2 with CIFAR-100, see
# tests/benchmarks/README.md.
_TRAINED = Recipe(
    "default-trained",
    "adam",
    3e-3,
    "one-cycle",
    steps=200,
    batch_size=64,
    augment="flip",
    drop=0.002,
)

# What a recipe of RECIPES means on networks other than perceptrons. Task files have these names, so
# that different settings have different names.
_FAMILIES: dict[tuple[str, Kind], Recipe] = {
    ("default", "convolution"): _CONVOLUTION,
    ("default", "trained"): _TRAINED,
    ("paper", "convolution"): Recipe(
        "paper-convolution", "adam", 1e-3, "cosine", density=Density(16, by_size=True)
    ),
    # HopSupSup's recipe. An epoch of a task of two digits is 94 steps.
    ("paper", "units"): Recipe("paper-units", "sgd", 0.1, "cosine", steps=94),
    # A logit_scale of 3 classifies permuted digits better, 89.9 against 85.7 %, but blurs the
    # superposition that recovery starts from; measured at these 300 steps.
    ("default", "units"): Recipe("default-units", "sgd", 0.1, "cosine", steps=300),
    ("separable", "convolution"): replace(
        _CONVOLUTION,
        name="separable-convolution",
        negatives=SEPARABLE.negatives,
        negatives_weight=SEPARABLE.negatives_weight,
        steps=SEPARABLE.steps,
        batch_size=SEPARABLE.batch_size,
    ),
}


def for_network(recipe: Recipe, kind: Kind) -> Recipe:
    """Choose what a recipe of `RECIPES` means on a kind of network.

    Args:
        recipe: the one asked for by name.
        kind: of the network, see `kind_of`.

    Returns:
        the recipe of that kind, with its own name; the recipe itself if there is none.
    """
    return _FAMILIES.get((recipe.name, kind), recipe)


def combination_steps(recipe: Recipe) -> int:
    """Return the number of steps for learning a combination."""
    return min(_COMBINATION_STEPS, recipe.steps)


def learning_rates(recipe: Recipe, shapes: Sequence[tuple[int, ...]]) -> list[float]:
    """Return each layer's learning rate at the peak of the schedule.

    Args:
        recipe: gives the rates.
        shapes: of the masked parameters from the input on, (out, in, …).
    """
    factors = [recipe.hidden_rate] * len(shapes)
    factors[-1] = recipe.last_rate
    factors[0] = 1.0
    if recipe.density is not None:
        # Steps that suit a layer with many weights are too large for one with few.
        shares = recipe.density.shares(shapes)
        factors = [
            f * min(1.0, math.sqrt(d / _SPARSE)) for f, d in zip(factors, shares, strict=True)
        ]
    return [
        recipe.learning_rate * factor / (math.prod(shape[1:]) if recipe.per_fan_in else 1)
        for factor, shape in zip(factors, shapes, strict=True)
    ]


def half_cosine(steps: int, done: int) -> float:
    """Return the factor on the learning rate after some of all steps: from 1 down to 0."""
    return (1 + math.cos(math.pi * done / steps)) / 2


def inverse_root(steps: int) -> float:
    """Return the factor on the learning rate after so many steps: up to 1, then falling as 1/√t."""
    now = steps + 1
    return min(1.0, now / _RISING_STEPS) * min(1.0, math.sqrt(_FULL_STEPS / now))
