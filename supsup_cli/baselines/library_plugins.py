"""Plugins for the library's strategies. The library is imported with them."""

from collections.abc import Callable
from typing import Any

from avalanche.core import SupervisedPlugin
from avalanche.training.plugins import ReplayPlugin, SynapticIntelligencePlugin


class Steps(SupervisedPlugin):  # type: ignore[misc]  # a class of no known type
    """Ends a task's training after so many updates."""

    def begin(self, count: int, advance: Callable[[int], None]) -> None:
        """Count a task's updates from here; `advance` is called after each."""
        self._left, self._advance = count, advance

    def after_training_iteration(self, strategy: Any, **_: Any) -> None:
        """Count an update."""
        self._left -= 1
        self._advance(1)
        if self._left == 0:
            strategy.stop_training()


class EarlierWeights(SupervisedPlugin):  # type: ignore[misc]  # a class of no known type
    """Clones what Synaptic Intelligence remembers of the network's weights, right after it did.

    Avalanche 0.6.0 remembers `param.detach().cpu().flatten()`. On a CPU that shares memory with the
    weights, so earlier weights would change with every update: no weight would seem to have moved,
    and none would matter.

    Args:
        remembering: the library's plugin; it must be called before this one.
    """

    def __init__(self, remembering: Any) -> None:
        super().__init__()
        self._remembering = remembering

    def before_training_exp(self, strategy: Any, **_: Any) -> None:
        """Clone the weights before a task."""
        _clone(self._remembering.ewc_data[0])

    def before_training_iteration(self, strategy: Any, **_: Any) -> None:
        """Clone the weights before an update."""
        _clone(self._remembering.syn_data["old_theta"])


def mend(strategy: Any) -> None:
    """Mend a strategy of the library where it departs from its paper, or from the batch size.

    Replay would add a whole batch of stored images to each batch of new ones. Here half of an
    update's images are stored ones, and at least one is.
    """
    for plugin in list(strategy.plugins):
        if isinstance(plugin, SynapticIntelligencePlugin):
            strategy.plugins.append(EarlierWeights(plugin))
        elif isinstance(plugin, ReplayPlugin):
            half = strategy.train_mb_size // 2
            plugin.batch_size = strategy.train_mb_size - half
            plugin.batch_size_mem = max(1, half)


def _clone(weights: dict[str, Any]) -> None:
    for one in weights.values():
        one.data = one.data.clone()
