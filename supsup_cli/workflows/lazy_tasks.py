"""Open a bank for answers: tasks are known from the index, and read only when they are in doubt.

A task that cannot be read is left out once it could have had a part in an answer; the others
answer. As soon as a task's file is read, it is compared with what the index says about the task. If
they differ, only the files are used.
"""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray

from bank_format.disk.stores import Place
from bank_format.errors import BankError
from bank_format.index.coarse import CoarseRows
from bank_format.index.hints import Hint, hint_of
from bank_format.index.known import KnownTasks, know_tasks
from bank_format.index.survey import survey
from bank_format.index.task_rows import ReadTask, StoredSignature, read_task_row, undamaged
from bank_format.kinds.mask import Task
from supsup_cli.core.masks.masks import MaskStack
from supsup_cli.core.networks.normalisation import Statistics, normalising_layers
from supsup_cli.core.networks.traits import TypicalTraits
from supsup_cli.core.signatures.features import FrozenFeatures, TrainedFeatures
from supsup_cli.workflows.opening import OpenNetwork, OpenTasks, gains_of, no_task, open_network
from supsup_cli.workflows.seeds_of_data import SeedsOfData
from supsup_cli.workflows.signatures import open_features
from supsup_cli.workflows.task_values import has_own_values, own_values, typical_of

__all__ = ["IndexLieError", "LazyTasks", "open_lazily"]


class IndexLieError(Exception):
    """The index contradicts the file of a task; the error names the task."""


@dataclass(frozen=True)
class LazyTasks(OpenTasks):
    """Tasks that are read when they are asked for; see `OpenTasks`.

    In `stack` and `own`, only the rows of tasks that have been read are filled. Asking for a task
    that cannot be read raises its error, and adds it to `failures`.

    Attributes:
        features: the pass through the frozen network; None if there is none.
        reader: reads the tasks.
    """

    features: FrozenFeatures | None = None
    reader: "TaskReader" = field(kw_only=True)

    @cached_property
    def names(self) -> list[str]:
        """The tasks' names, sorted."""
        return list(self.reader.known.names)

    @property
    def superfluous(self) -> bool:
        """Whether every task has outputs that are none of its classes."""
        most = int(self.reader.known.rows.numbers["classes"].max(initial=0))
        return most < self.net.bank.record.outputs

    @property
    def seeds(self) -> Mapping[str, int]:
        """Digest of the data of each task → the seed it was learned with."""
        return SeedsOfData(self.reader.known.rows)

    def distrust(self, task: str) -> None:
        """Start again, after a task's file contradicted the index; see `TaskReader`."""
        self.reader.distrust(task)

    def complete(self) -> OpenTasks:
        """Read all tasks, for a method that needs every mask; unreadable ones are left out.

        Raises:
            BankError: no task can be read.
        """
        whole = []
        for index in range(len(self.tasks)):
            try:
                self.reader.read(index)
            except BankError:
                continue
            whole.append(index)
        if not whole:
            raise next(iter(self.failures.values()))
        stack, own = self.stack, self.own
        if len(whole) < len(self.tasks):
            stack, own = stack.subset(whole), own[whole]
        tasks = tuple(self.tasks[index] for index in whole)
        if not any(task.sparse for task in tasks):
            stack = dataclasses.replace(stack, gains=None)
        return OpenTasks(self.net, tasks, stack, self.real, own, self.failures)


class TaskReader(Sequence[Task]):
    """Reads tasks, each once, and puts their values into the tensors of all tasks.

    Attributes:
        known: what is known of all tasks.
        gone: indices of the tasks that are left out.
        failures: the same by name, with the reason.
        faults: what is wrong with the index, one line each.
    """

    def __init__(self, net: OpenNetwork, known: KnownTasks, features: int) -> None:
        self.known = known
        self.gone: set[int] = set()
        self.failures: dict[str, BankError] = {}
        self.faults = [error.message for error in known.faults.values()]
        self._net = net
        self._features = features
        self._tasks: dict[int, Task] = {}
        self._signatures: dict[int, StoredSignature | None] = {}
        self._doubts: dict[int, tuple[BankError, Hint | None]] = {}
        self._hear(known)
        count, network = len(known.names), net.network
        # Memory is only taken when it is written to: rows of tasks that are not read take none.
        packed = torch.empty(count, net.layout.bytes, dtype=torch.uint8, device=net.device)
        self._statistics: list[Statistics] | None = None
        self._traits: list[TypicalTraits | None] | None = None
        if has_own_values(network):
            self._statistics = [{} for _ in range(count)]
        if normalising_layers(network):
            self._traits = [None] * count
        self._gains = torch.ones(count, len(net.layout.shapes), device=net.device)
        self.stack = MaskStack(packed, net.layout, self._gains, self._statistics, self._traits)
        outputs = net.bank.record.outputs
        self.own = torch.zeros(count, outputs, dtype=torch.bool, device=net.device)

    @property
    def coarse(self) -> CoarseRows | None:
        """The coarse signatures of all tasks that have one."""
        return self.known.coarse

    @property
    def places(self) -> NDArray[np.int64]:
        """Each task's place among the coarse signatures, (T,) int64; −1 for none."""
        return self.known.places

    @property
    def hinted(self) -> set[int]:
        """Indices of unreadable tasks for which there is only a hint of a signature."""
        return {index for index, (_, hint) in self._doubts.items() if hint is not None}

    def __len__(self) -> int:
        return len(self.known.names)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Task]: ...
    def __getitem__(self, index: int | slice) -> Task | Sequence[Task]:
        """Read a task, or several; see `read`."""
        if isinstance(index, slice):
            return [self.read(one) for one in range(*index.indices(len(self)))]
        return self.read(range(len(self))[index])

    def read(self, index: int) -> Task:
        """Read a task.

        Raises:
            BankError: it cannot be read, and is left out from now on.
            IndexLieError: the index said something else of it.
        """
        task = self._tasks.get(index)
        if task is not None:
            return task
        if index not in self._doubts:
            try:
                return self._load(index)
            except BankError as error:
                self._doubts[index] = error, None
        reason = self._doubts[index][0]
        self.leave_out(index, reason)
        raise reason

    def signature(self, index: int) -> StoredSignature | None:
        """Return a task's stored signature; for an unreadable task, what its file hints at.

        Raises:
            IndexLieError: see `read`.
        """
        if index not in self._signatures and index not in self._doubts:
            try:
                self._load(index)
            except BankError as error:
                hint = hint_of(self._net.bank, self.known.names[index])
                self._doubts[index] = error, hint
                if hint is None:  # it may have had a part in the answer
                    self.leave_out(index, error)
        if index in self._signatures:
            return self._signatures[index]
        hinted = self._doubts[index][1]
        return None if hinted is None else hinted.signature

    def leave_out(self, index: int, error: BankError) -> None:
        """Leave a task out, and note why."""
        self.failures[self.known.names[index]] = error
        self.gone.add(index)

    def distrust(self, task: str) -> None:
        """Start again; use only the files if the index was wrong though the task is the same."""
        bank, names = self._net.bank, self.known.names
        found = survey(bank)
        lied = found.rows.get(task) == self.known.rows[task]
        self.known = know_tasks(bank, self._features, indexed=not lied, names=names)
        for seen in (self._tasks, self._signatures, self._doubts):
            seen.clear()
        self._hear(self.known)
        if lied:
            file = next(one.file for one in found.segments if task in one.holding)
            self.faults.append(
                f"{bank.path / file}: the index contradicts the file of task {task}; all files "
                f"were read: supsup verify --repair --bank {shlex.quote(str(bank.path))}"
            )

    def _hear(self, known: KnownTasks) -> None:
        for index, name in enumerate(known.names if known.failed else ()):
            if name in known.failed:
                error, hint = known.failed[name], known.hints.get(name)
                self._doubts[index] = error, hint
                if hint is None:  # as above
                    self.leave_out(index, error)

    def _load(self, index: int) -> Task:
        found = self._found(index)
        task = self._tasks[index] = self._placed(index, found.task)
        self._signatures[index] = found.signature
        return task

    def _found(self, index: int) -> ReadTask:
        known, name = self.known, self.known.names[index]
        if name in known.read:
            return known.read.pop(name)
        found = undamaged(read_task_row(self._net.bank, name, None, None))
        row, place = known.rows[name], int(known.places[index])
        told = row._replace(file=found.row.file, later=found.row.later)
        same = row.file.seal == found.row.file.seal and told == found.row
        if same and place >= 0 and known.coarse is not None:
            same = found.coarse is not None and known.coarse.same(place, found.coarse)
        if not same:
            raise IndexLieError(name)
        return found

    def _placed(self, index: int, task: Task) -> Task:
        """Put a task's values into its row, and return it with masks that are views of the row."""
        net, file = self._net, self._net.bank.task_path(task.content.task)
        outputs = net.bank.record.outputs
        if self._statistics is not None:
            own = own_values(net.network, outputs, task, net.device, file)
            self._statistics[index] = own
        if self._traits is not None:
            self._traits[index] = typical_of(net.network, task, net.device, file)
        whole = np.concatenate(list(task.masks.values()))
        self.stack.packed[index].copy_(torch.from_numpy(whole))
        self._gains[index] = gains_of(net, task).to(net.device)
        self.own[index] = False  # a replaced task may have had other classes
        self.own[index, [one.output for one in task.content.classes]] = True
        if net.device.type == "cpu":
            whole = self.stack.packed[index].numpy()
        ends = np.cumsum([len(mask) for mask in task.masks.values()])
        views = dict(zip(task.masks, np.split(whole, ends[:-1]), strict=True))
        return dataclasses.replace(task, masks=views)


def open_lazily(path: Place, device: str) -> LazyTasks:
    """Open a bank with all its tasks, without reading them.

    Raises:
        BankError: as `open_network`, or no task can be read.
        NoInputError: the bank has no task yet.
    """
    net = open_network(path, device)
    features = open_features(net, keep=False)
    size = 0 if features is None else features.size
    # Over trained weights, every decision needs all whole signatures: the files are read.
    known = know_tasks(net.bank, size, indexed=not isinstance(features, TrainedFeatures))
    if not known.names:
        raise no_task(path)
    if len(known.failed) == len(known.names):
        raise next(iter(known.failed.values()))
    reader = TaskReader(net, known, size)
    real = torch.arange(net.bank.record.outputs) < net.bank.record.real_outputs
    return LazyTasks(
        net,
        reader,
        reader.stack,
        real.to(net.device),
        reader.own,
        reader.failures,
        features=features,
        reader=reader,
    )
