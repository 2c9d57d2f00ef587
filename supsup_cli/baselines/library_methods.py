"""Avalanche's strategies to compare with, with the settings of their papers."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass

INSTALL = "pip install 'supsup[avalanche]'"
_REPLAYED, _GEM_PATTERNS = 2000, 1000  # images


@dataclass(frozen=True)
class LibraryMethod:
    """A strategy of the library.

    Attributes:
        name: as on the command line.
        strategy: the library's class.
        meaning: in a few words.
        source: of the method, and of its settings.
        optimiser: adam or sgd.
        rate: learning rate of its settings.
        options: further settings, as the library calls them.
        networks: numbers kept besides the network after so many tasks, counted in networks.
        images: images kept, for all tasks together and for each.
        at_once: whether it learns all tasks together, instead of the first.
    """

    name: str
    strategy: str
    meaning: str
    source: str
    optimiser: str
    rate: float
    options: dict[str, float]
    networks: Callable[[int], int] = lambda _tasks: 0
    images: Callable[[Sequence[int]], int] = lambda _counts: 0
    at_once: bool = False


_SETTINGS = "settings of ContinualAI's continual-learning-baselines on permuted MNIST"

LIBRARY = {
    one.name: one
    for one in (
        LibraryMethod(
            "ewc",
            "EWC",
            "holds weights that mattered, by their Fisher information",
            f"Kirkpatrick et al. 2017; {_SETTINGS}",
            "sgd",
            1e-3,
            {"ewc_lambda": 1},
            networks=lambda tasks: 2 * tasks,
        ),
        LibraryMethod(
            "si",
            "SynapticIntelligence",
            "holds weights that mattered, by their part in the loss",
            f"Zenke et al. 2017; {_SETTINGS}",
            "adam",
            1e-3,
            {"si_lambda": 0.1, "eps": 0.1},
            networks=lambda _tasks: 2,
        ),
        LibraryMethod(
            "lwf",
            "LwF",
            "the network before the task is a teacher",
            f"Li & Hoiem 2016; {_SETTINGS}",
            "adam",
            1e-3,
            {"alpha": 1, "temperature": 1},
        ),
        LibraryMethod(
            "replay",
            "Replay",
            f"{_REPLAYED:,} stored images are learned again, as half of each update",
            "Rolnick et al. 2019; 2,000 images, as continual-learning-baselines has them on CIFAR",
            "adam",
            1e-3,
            {"mem_size": _REPLAYED},
            images=lambda counts: min(_REPLAYED, sum(counts)),
        ),
        LibraryMethod(
            "gem",
            "GEM",
            f"{_GEM_PATTERNS:,} stored images a task; no step may raise their loss",
            f"Lopez-Paz & Ranzato 2017; {_SETTINGS}",
            "sgd",
            0.1,
            {"patterns_per_exp": _GEM_PATTERNS, "memory_strength": 0.5},
            images=lambda counts: sum(min(_GEM_PATTERNS, count) for count in counts),
        ),
        LibraryMethod("naive", "Naive", "one network trained on", "fine-tuning", "adam", 1e-3, {}),
        LibraryMethod(
            "cumulative",
            "Cumulative",
            "all images so far are learned again with each task",
            "an upper bound for one network",
            "adam",
            1e-3,
            {},
            images=sum,
        ),
        LibraryMethod(
            "joint",
            "JointTraining",
            "all tasks are learned at once",
            "an upper bound for one network",
            "adam",
            1e-3,
            {},
            images=sum,
            at_once=True,
        ),
    )
}


def installed() -> bool:
    """Return whether the library is installed."""
    return importlib.util.find_spec("avalanche") is not None
