"""Open a bank for computing: its network on a device, its masks as one packed stack."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bank_format.bank import Bank
from bank_format.disk.stores import Place
from bank_format.encoding.bits import count_ones
from bank_format.errors import BankError
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.mask import Task
from supsup_cli.core.images import Pixels
from supsup_cli.core.inference.perceptrons import MaskedPerceptron
from supsup_cli.core.masks.density import gain
from supsup_cli.core.masks.masks import MaskLayout, Masks, MaskStack
from supsup_cli.core.networks.folding import fold_normalisation
from supsup_cli.core.networks.normalisation import normalising_layers
from supsup_cli.core.networks.parts import Parts, in_parts
from supsup_cli.core.networks.specs import (
    MultilayerPerceptron,
    NetworkSpec,
    build_network,
    freeze,
    kind_of,
)
from supsup_cli.core.networks.traits import TypicalTraits
from supsup_cli.errors import DeviceError, NoInputError, UsageError
from supsup_cli.workflows.task_values import has_own_values, own_values, typical_of


@dataclass(frozen=True)
class OpenNetwork:
    """A bank's frozen network on a device.

    Attributes:
        bank: the bank on disk.
        network: with its weights, in evaluation mode; a library's network has its normalisation
            folded into the convolutions.
        pixels: turns images into the network's input.
        layout: where each masked parameter's bits are.
        device: the network's device.
    """

    bank: Bank
    network: nn.Module
    pixels: Pixels
    layout: MaskLayout
    device: torch.device

    @cached_property
    def trained(self) -> bool:
        """Whether tasks have last layers of their own, over a library's trained network."""
        return kind_of(self.network) == "trained"

    @cached_property
    def parts(self) -> Parts:
        """The network below the first masked layer, and above it.

        Only a library's network is split; any other is entirely above.
        """
        if not self.trained:
            return Parts(None, self.network)
        shape = self.bank.record.input.shape
        example = self.pixels(torch.zeros(2, *shape, dtype=torch.uint8, device=self.device))
        return in_parts(self.network, tuple(self.layout.shapes), example)


@dataclass(frozen=True)
class OpenTasks:
    """A network and the tasks learned on it.

    Attributes:
        net: the open network.
        tasks: each task's content, in the order of the stack.
        stack: T packed masks on the network's device.
        real: (O,) bool, outputs that may be a label of any task.
        own: (T, O) bool, each task's own outputs.
        failures: tasks that could have had a part in an answer and cannot be read: left out.
    """

    net: OpenNetwork
    tasks: Sequence[Task]
    stack: MaskStack
    real: Tensor
    own: Tensor
    failures: dict[str, BankError] = field(default_factory=dict)

    @cached_property
    def names(self) -> list[str]:
        """The tasks' names, in the order of the stack."""
        return [task.content.task for task in self.tasks]

    @property
    def by_doubt(self) -> bool:
        """Whether H judges a mask: tasks have statistics or last layers of their own."""
        return self.stack.statistics is not None

    @cached_property
    def perceptron(self) -> MaskedPerceptron | None:
        """A chain of layers that takes masks one by one; None for other networks."""
        network = self.net.network
        if not isinstance(network, MultilayerPerceptron):
            return None
        return MaskedPerceptron(network, self.stack, torch.float32)

    def masks(self, index: int) -> Masks:
        """Unpack one task's mask with its statistics; see `MaskStack.masks`."""
        return self.stack.masks(index)

    def typical(self, index: int) -> TypicalTraits | None:
        """Return what is typical of one task's images under its mask; None if that is not known."""
        return self.stack.typical(index)

    @property
    def superfluous(self) -> bool:
        """Whether every task has outputs that are none of its classes."""
        return not bool(self.own.all(-1).any())

    @property
    def seeds(self) -> Mapping[str, int]:
        """Digest of the data of each task → the seed it was learned with."""
        return {task.content.data.digest: task.content.seed for task in self.tasks}


def choose_device(name: str) -> torch.device:
    """Find the device that was asked for; `auto` is a GPU where there is one.

    Raises:
        UsageError: no such kind of device.
        DeviceError: this machine does not have it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"--device {name}: expected auto, cpu, cuda, cuda:N or mps")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(_has_mps())}[device.type]
    if (device.index or 0) >= count:
        raise DeviceError(
            f"--device {name}: {count} {device.type} devices found, "
            f"expected at least {(device.index or 0) + 1}",
            hint="use --device auto or --device cpu",
        )
    return device


def open_network(path: Place, device: str) -> OpenNetwork:
    """Open a bank and put its network on a device.

    Raises:
        BankError: there is no bank, or it cannot be read.
        UsageError, DeviceError: see `choose_device`.
    """
    where = choose_device(device)
    bank = Bank.open(path)
    record = bank.record
    try:
        network = build_network(NetworkSpec(record.arch, record.input.shape, record.outputs))
    except ValueError as error:
        raise UsageError(f"{path}: {error}", hint="pip install --upgrade supsup") from error
    freeze(network, bank.base(), where)
    if kind_of(network) == "trained":
        fold_normalisation(network)
        # With channels last a pass of MobileNetV2 takes half the time on a CPU.
        network.to(memory_format=torch.channels_last)
    layout = MaskLayout({one.name: one.shape for one in record.masked})
    return OpenNetwork(bank, network, _pixels(record, where), layout, where)


def open_tasks(path: Place, device: str, names: Sequence[str] | None = None) -> OpenTasks:
    """Open a bank with the masks of some or all of its tasks.

    Raises:
        BankError: as `open_network`, or a task cannot be read or is missing.
        NoInputError: the bank has no task yet.
    """
    return stack_tasks(open_network(path, device), names)


def stack_tasks(net: OpenNetwork, names: Sequence[str] | None = None) -> OpenTasks:
    """Read the masks of some or all tasks of an open bank.

    Every task's file must be whole: without the task that an image belongs to, the answer is wrong.

    Raises:
        BankError: a task cannot be read or is missing.
        NoInputError: the bank has no task yet.
    """
    tasks, packed = net.bank.read_tasks(names)
    if not tasks:
        raise no_task(net.bank.path)
    record = net.bank.record
    own = torch.zeros(len(tasks), record.outputs, dtype=torch.bool)
    for row, task in zip(own, tasks, strict=True):
        row[[one.output for one in task.content.classes]] = True
    real = torch.arange(record.outputs) < record.real_outputs
    stack = stack_of(net, tasks, packed)
    return OpenTasks(net, tuple(tasks), stack, real.to(net.device), own.to(net.device))


def no_task(path: Place) -> NoInputError:
    """Make the error of a bank that has no task yet."""
    return NoInputError(
        f"{path}: no task found, expected at least one",
        hint=f"supsup learn-task --bank {shlex.quote(str(path))} --data mnist-perm-0",
    )


def stack_of(net: OpenNetwork, tasks: Sequence[Task], packed: NDArray[np.uint8]) -> MaskStack:
    """Put tasks' masks on the network's device, with gains of sparse masks and the tasks' other
    values.

    Args:
        net: the open network.
        tasks: their files' content.
        packed: (T, bytes) uint8, their masks, from `Bank.read_tasks`.

    Raises:
        OtherBaseError: a task's values do not fit this network.
    """
    network, outputs, device = net.network, net.bank.record.outputs, net.device
    files = [net.bank.task_path(task.content.task) for task in tasks]
    own = [
        own_values(network, outputs, task, device, file)
        for task, file in zip(tasks, files, strict=True)
    ]
    typical = [
        typical_of(network, task, device, file) for task, file in zip(tasks, files, strict=True)
    ]
    stack = MaskStack(
        torch.from_numpy(packed).to(device),
        net.layout,
        None,
        tuple(own) if has_own_values(network) else None,
        tuple(typical) if normalising_layers(network) else None,
    )
    if not any(task.sparse for task in tasks):
        return stack
    gains = torch.stack([gains_of(net, task) for task in tasks])
    return dataclasses.replace(stack, gains=gains.to(net.device))


def gains_of(net: OpenNetwork, task: Task) -> Tensor:
    """Return what a kept weight of each masked parameter counts for a task: (L,) float32."""
    if not task.sparse:
        return torch.ones(len(net.layout.shapes))
    masked = net.bank.record.masked
    return torch.tensor([gain(count_ones(task.masks[one.name]), one.count) for one in masked])


def _pixels(record: BankRecord, device: torch.device) -> Pixels:
    mean, std = (
        torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]
        for values in (record.input.mean, record.input.std)
    )
    return Pixels(mean, std)


def _has_mps() -> bool:
    return bool(torch.backends.mps.is_available())
