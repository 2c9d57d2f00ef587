"""What makes a method different from the others, and what it learns from."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from supsup_cli.core.images import LabelledImages

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class TaskImages:
    """What a task is learned from.

    Attributes:
        name: keeps the random streams of tasks apart.
        train: images; targets count the task's own classes from 0.
        outputs: (K,) int64, the output for each class if tasks share a head.
    """

    name: str
    train: LabelledImages
    outputs: Tensor


class Method(Protocol):
    """Which numbers tasks share, which are a task's own, and how they make a network's weights.

    Attributes:
        network: the network they make weights for; on the meta device, in evaluation mode.
        own_head: whether the network's outputs are exactly the task's own classes.
        keeps_shared: whether the shared numbers must be kept; otherwise a seed draws them again.
    """

    network: nn.Module
    own_head: bool
    keeps_shared: bool

    def shared(self) -> Tensors:
        """Return the shared numbers before any task, name → float32."""

    def own(self, task: str, classes: int) -> Tensors:
        """Return a task's own numbers before it is learned, name → float32."""

    def learns_shared(self, first: bool) -> bool:
        """Return whether the shared numbers learn too, in the first task or in a later one."""

    def weights(self, shared: Tensors, own: Tensors, task: str) -> Tensors:
        """Make the network's weights: parameter or buffer name → float32."""
