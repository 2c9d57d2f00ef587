"""The methods by name: the source of each, its scenario, and the rates of its paper."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from supsup_cli.baselines.batch_ensemble import BatchEnsemble
from supsup_cli.baselines.heads import OwnNetworks, SeparateHeads
from supsup_cli.baselines.method import Method
from supsup_cli.baselines.networks import Base
from supsup_cli.baselines.rotations import Superposition
from supsup_cli.core.learning.recipes import Recipe

Scenario = Literal["GG", "GNs", "GNu"]


@dataclass(frozen=True)
class Rival:
    """One of the other methods.

    Attributes:
        name: as on the command line.
        meaning: in a few words.
        source: the paper, and the source of the rates.
        make: makes the method from the network of the comparison.
        first: how the first task is learned.
        later: how the others are; the same if there is one rate.
        scenario: GG, the task is given; GNu, it is inferred from the image.
        wraps_layers: whether it puts something before each layer, which has no effect on layers
            whose weights are used without calling them, as in attention.
    """

    name: str
    meaning: str
    source: str
    make: Callable[[Base], Method]
    first: Recipe
    later: Recipe
    scenario: Scenario = "GG"
    wraps_layers: bool = False

    @property
    def two_rates(self) -> bool:
        """Whether the first task has a rate of its own."""
        return self.first != self.later


_NUMBERS = "rates of Wortsman et al. 2020's comparison"
_FACTORS = Recipe("factors", "adam", 1e-2, "constant")
_WEIGHTS = Recipe("weights", "adam", 1e-4, "constant")
_TRUNK = Recipe("trunk", "adam", 1e-3, "constant")
_HEAD = Recipe("head", "adam", 1e-2, "constant")
_PSP = Recipe("psp", "rmsprop", 1e-4, "constant")

RIVALS = {
    rival.name: rival
    for rival in (
        Rival(
            "batche",
            "shared weights of the first task, a rank-one factor for each",
            f"BatchEnsemble, Wen et al. 2020; {_NUMBERS}",
            lambda base: BatchEnsemble(base, base.real_outputs),
            _WEIGHTS,
            _FACTORS,
        ),
        Rival(
            "batche-one-shot",
            "the same with superfluous outputs, the task inferred by One-Shot",
            f"Wortsman et al. 2020, Fig. 5 right; {_NUMBERS}",
            lambda base: BatchEnsemble(base, base.spec.outputs),
            _WEIGHTS,
            _FACTORS,
            scenario="GNu",
        ),
        Rival(
            "psp",
            "all tasks in one network, inputs of each layer rotated for each task",
            f"PSP, Cheung et al. 2019; {_NUMBERS}",
            lambda base: Superposition(base, base.real_outputs),
            _PSP,
            _PSP,
            wraps_layers=True,
        ),
        Rival(
            "psp-binary",
            "the same with signs in place of rotations",
            f"PSP, Cheung et al. 2019; {_NUMBERS}",
            lambda base: Superposition(base, base.real_outputs, binary=True),
            _PSP,
            _PSP,
            wraps_layers=True,
        ),
        Rival(
            "heads-shared",
            "a head for each task over the trunk of the first",
            f"Wortsman et al. 2020, section 4; {_NUMBERS}",
            lambda base: SeparateHeads(base, "first"),
            _TRUNK,
            _HEAD,
        ),
        Rival(
            "heads-random",
            "a head for each task over a random trunk",
            f"Wortsman et al. 2020, section 4; {_NUMBERS}",
            lambda base: SeparateHeads(base, "never", "drawn"),
            _HEAD,
            _HEAD,
        ),
        Rival(
            "linear-heads",
            "a head for each task over the frozen network that masks share",
            f"features of the frozen network; {_NUMBERS}",
            lambda base: SeparateHeads(base, "never", "frozen"),
            _HEAD,
            _HEAD,
        ),
        Rival(
            "lower-bound",
            "one trunk trained on from task to task, a head for each",
            f"Wortsman et al. 2020, section 4; {_NUMBERS}",
            lambda base: SeparateHeads(base, "always"),
            _TRUNK,
            _TRUNK,
        ),
        Rival(
            "upper-bound",
            "a network for each task",
            f"Wortsman et al. 2020, section 4, each from its own start; {_NUMBERS}",
            OwnNetworks,
            _TRUNK,
            _TRUNK,
        ),
    )
}
