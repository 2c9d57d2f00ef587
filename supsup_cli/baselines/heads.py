"""Separate heads over one trunk, and both bounds (Wortsman et al. 2020, section 4)."""

from dataclasses import replace
from typing import Literal

from supsup_cli.baselines.method import Tensors
from supsup_cli.baselines.networks import (
    Base,
    begun,
    blank_like,
    drawn,
    drawn_head,
    head_names,
)


class SeparateHeads:
    """A head for each task over a trunk that all tasks share.

    The trunk learns in the first task ("shared trunk"), never ("random trunk", and "linear heads"
    on the features of the frozen network), or in every task, which forgets: the lower bound.

    Args:
        base: the network of the comparison.
        trunk: when the trunk learns.
        start: its first weights: those of rivals, always drawn ones, or the frozen network's.
    """

    own_head = True

    def __init__(
        self,
        base: Base,
        trunk: Literal["first", "never", "always"],
        start: Literal["begun", "drawn", "frozen"] = "begun",
    ) -> None:
        if start == "drawn":  # statistics measured under other weights say nothing about these
            base = replace(base, statistics=blank_like(base.statistics))
        self.network = base.network(base.real_outputs)
        self.keeps_shared = trunk != "never" or (start == "frozen" and base.trained)
        self._base = base
        self._trunk = trunk
        self._start = start

    def shared(self) -> Tensors:
        """Return the trunk."""
        start = {
            "begun": lambda: begun(self._base, self.network),
            "drawn": lambda: drawn(self._base, self.network),
            "frozen": lambda: dict(self._base.weights),
        }[self._start]()
        head = head_names(self.network)
        return {name: values for name, values in start.items() if name not in head}

    def own(self, task: str, classes: int) -> Tensors:
        """Return a task's head."""
        return drawn_head(self._base, self.network, task, classes)

    def learns_shared(self, first: bool) -> bool:
        """Return whether the trunk learns."""
        return self._trunk == "always" or (first and self._trunk == "first")

    def weights(self, shared: Tensors, own: Tensors, _task: str) -> Tensors:
        """Put the task's head on the trunk."""
        return shared | own


class OwnNetworks:
    """A network for each task, all from one start; the upper bound, which shares nothing.

    Args:
        base: the network of the comparison.
    """

    own_head = True
    keeps_shared = False

    def __init__(self, base: Base) -> None:
        self.network = base.network(base.real_outputs)
        self._base = base

    def shared(self) -> Tensors:
        """Return nothing."""
        return {}

    def own(self, task: str, classes: int) -> Tensors:
        """Return a network's first weights, with a head of so many outputs."""
        head = drawn_head(self._base, self.network, task, classes)
        return begun(self._base, self.network) | head

    def learns_shared(self, first: bool) -> bool:
        """Return False: nothing is shared."""
        return False

    def weights(self, _shared: Tensors, own: Tensors, _task: str) -> Tensors:
        """Return the task's network."""
        return own
