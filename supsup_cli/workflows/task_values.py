"""What a task brings besides its mask: its statistics of normalisation, or a last layer."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from bank_format.errors import OtherBaseError
from bank_format.kinds.mask import Task
from bank_format.kinds.task_arrays import HEAD_BIAS, HEAD_WEIGHT
from supsup_cli.core.networks.head import find_head, head_values
from supsup_cli.core.networks.normalisation import (
    Statistics,
    blank_statistics,
    normalising_layers,
    parted,
)
from supsup_cli.core.networks.traits import TypicalTraits, parted_traits

# Name in task files for the statistics of all normalisation layers together. With two arrays for
# each layer, their names would take more bytes than a sparse mask's small layers.
NORMALISATION = "normalisation"
# Typical traits of a task's images under its mask; older files lack them.
TRAITS = "traits"


def has_own_values(network: nn.Module) -> bool:
    """Return whether the tasks of a network bring more than a mask."""
    return bool(normalising_layers(network)) or find_head(network) is not None


def own_values(
    network: nn.Module, outputs: int, task: Task, device: torch.device, file: object
) -> Statistics:
    """Read what a task brings besides its mask.

    Args:
        network: the bank's.
        outputs: of the bank.
        task: what its file says.
        device: of the values.
        file: the task's, for messages.

    Returns:
        buffer name → float32; none on a network that has no use for any.

    Raises:
        OtherBaseError: they are not those of this network.
    """
    with _named(file):
        if find_head(network) is not None:
            rows = torch.tensor([one.output for one in task.content.classes])
            weight, bias = (_halves(task, name) for name in (HEAD_WEIGHT, HEAD_BIAS))
            own = head_values(network, weight, bias, rows, outputs)
            return {name: one.to(device) for name, one in own.items()}
        blank = blank_statistics(network, device)
        if not blank:
            return {}
        found = task.statistics.get(NORMALISATION, np.empty(0, np.float32))
        return parted(torch.from_numpy(found), blank)


def typical_of(
    network: nn.Module, task: Task, device: torch.device, file: object
) -> TypicalTraits | None:
    """Read a task's traits; None if its file has none.

    Raises:
        OtherBaseError: they are not those of this network.
    """
    found = task.statistics.get(TRAITS)
    layers = len(normalising_layers(network))
    if found is None or not layers:
        return None
    with _named(file):
        return parted_traits(torch.from_numpy(found).to(device), layers)


def _halves(task: Task, name: str) -> Tensor:
    found = task.arrays.get(name)
    if found is None or found.dtype != np.float16:
        return torch.empty(0)
    return torch.from_numpy(found.view(np.float16))


@contextmanager
def _named(file: object) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise OtherBaseError(f"{file}: {error}", hint="pip install --upgrade supsup") from error
