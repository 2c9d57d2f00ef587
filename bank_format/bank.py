"""A bank: a folder with a frozen base and one file per task, which grows file by file."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bank_format.disk import files
from bank_format.disk.stores import Place, StorePath
from bank_format.encoding.sealed import Tensor
from bank_format.errors import NoSuchTaskError, StorageError
from bank_format.kinds.bank_json import BankRecord, BankSpec
from bank_format.kinds.base import weights_of
from bank_format.kinds.combination import build_combination
from bank_format.kinds.mask import Task, build_task
from bank_format.kinds.task_arrays import Arrays
from bank_format.kinds.task_records import Provenance, TaskFacts
from bank_format.names import check_task_name
from bank_format.store import signatures
from bank_format.store import tasks as task_folder
from bank_format.store.creation import create_bank
from bank_format.store.layout import read_base, read_record
from bank_format.store.lineage import (
    check_same_base,
    children_of,
    needed_parents,
    refuse_parent,
    renamed,
)
from bank_format.store.tasks import parse_task, read_mask, stacked
from bank_format.store.work import Work

__all__ = ["Bank"]


@dataclass(frozen=True, slots=True)
class Bank:
    """An open bank. Opening reads only bank.json; every read of another file is checked in full.

    Args:
        path: the bank's folder, or its place in an object store.
        record: the content of bank.json.
    """

    path: Place
    record: BankRecord

    @classmethod
    def create(cls, path: Path, spec: BankSpec, tensors: Mapping[str, Tensor]) -> tuple[Self, bool]:
        """Create a bank, or open an existing one with an equal spec and base.

        bank.json is written last, so that the next call completes a killed one.

        Args and Raises: see `create_bank`.

        Returns:
            The bank, and whether this call created it.
        """
        record, created = create_bank(path, spec, tensors)
        return cls(path, record), created

    @classmethod
    def open(cls, path: Place) -> Self:
        """Open the bank in a folder.

        Raises:
            NoBankError: there is no bank.json.
            DamagedError, NewerFormatError: of bank.json.
            StorageError: the system refused.
        """
        return cls(path, read_record(path))

    @property
    def folder(self) -> Path:
        """The bank's folder, for writing.

        Raises:
            StorageError: it is in an object store, where it can only be read.
        """
        if isinstance(self.path, StorePath):
            raise StorageError(
                f"{self.path}: a bank in an object store, which can only be read",
                hint="write into a bank in a folder, then copy its files there",
            )
        return self.path

    @property
    def work(self) -> Work:
        """The work in progress: claims of learners, and what stopped ones left.

        Raises:
            StorageError: the bank lies in an object store, where nothing is learned.
        """
        return Work(self.folder, self.record)

    def base(self) -> dict[str, NDArray[np.float32]]:
        """Read the frozen weights, checked in full.

        Returns:
            For each parameter its float32 array, of the record's shape.

        Raises:
            DamagedError, NewerFormatError, OtherBaseError: of base.safetensors.
            StorageError: the system refused.
        """
        return weights_of(self.record, read_base(self.path, self.record))

    def tasks(self) -> list[str]:
        """List the tasks' names, sorted, from one listing of the folder; no file is opened.

        Raises:
            StorageError: the system refused.
        """
        return task_folder.list_tasks(self.path)

    def task_path(self, name: str) -> Place:
        """Return the path of a task's file, whether it exists or not.

        Raises:
            BadNameError: no task can have that name.
        """
        return task_folder.task_path(self.path, name)

    def read_task(self, name: str) -> Task:
        """Read a task, checked in full.

        Raises:
            BadNameError, NoSuchTaskError: no such task.
            DamagedError, NewerFormatError, OtherBaseError: of its file.
            StorageError: the system refused.
        """
        return self.read_sealed(name)[0]

    def read_sealed(self, name: str) -> tuple[Task, bytes]:
        """Read a task, checked in full, together with its file's bytes.

        Raises:
            BankError: as `read_task`.
        """
        data = task_folder.read_task_file(self.path, self.record, name)
        return self._parse(name, data), data

    def children(self, name: str) -> list[str]:
        """List the combinations that cannot be read without a task, sorted.

        Raises:
            BadNameError: no task can have that name.
            StorageError: the system refused.
        """
        return children_of(self.path, self.record, [name])[name]

    def read_tasks(
        self, names: Sequence[str] | None = None
    ) -> tuple[list[Task], NDArray[np.uint8]]:
        """Read many tasks, each checked in full, with their masks in one array.

        Args:
            names: the tasks, in the order of the rows; if None, all of `tasks()` except those
                removed meanwhile.

        Returns:
            The tasks, with masks that are views of the array, and (T, mask_bytes) uint8,
            contiguous: a row holds the packed bits of all masked parameters in the record's order,
            each starting on a byte.

        Raises:
            BankError: as `read_task`.
        """
        read = self.read_task if names is not None else self._read_task_if_there
        there = self.tasks() if names is None else names
        task_folder.expect_tasks(self.path, there)
        return stacked(there, self.record.mask_bytes, read)

    def add_task(
        self,
        facts: TaskFacts,
        masks: Mapping[str, NDArray[np.bool_] | NDArray[np.uint8]],
        statistics: Mapping[str, NDArray[np.float32]],
        provenance: Provenance,
        arrays: Arrays | None = None,
    ) -> Task:
        """Add a task: its file appears whole and durable, or not at all.

        Args:
            facts: what the learner knows, including the name.
            masks: see `build_task`.
            statistics: float32 arrays by name.
            provenance: where and when.
            arrays: its head or signature, see `build_task`.

        Returns:
            The task as a reader would get it.

        Raises:
            NameTakenError: there is a task with that name; it is unchanged.
            StorageError: the system refused.
            ValueError: masks, statistics, arrays or facts do not fit the bank.
        """
        data = build_task(self.record, facts, masks, statistics, provenance, arrays)
        return self._add(facts.task, data)

    def add_combination(
        self,
        facts: TaskFacts,
        coefficients: Mapping[str, NDArray[np.float32]],
        statistics: Mapping[str, NDArray[np.float32]],
        provenance: Provenance,
        arrays: Arrays | None = None,
    ) -> Task:
        """Add a task made of its parents' masks; see `build_combination` and `add_task`.

        Raises:
            NameTakenError, StorageError, ValueError: as `add_task`.
            DamagedError: a parent is missing, or is not the one that was combined.
        """
        data = build_combination(self.record, facts, coefficients, statistics, provenance, arrays)
        return self._add(facts.task, data)

    def copy_task(self, name: str, source: Self, as_name: str | None = None) -> Task:
        """Copy a task from a bank of the same base into this one, with its provenance.

        Under its own name the file's bytes are copied; under another name only the name in its
        content changes. The parents of a combination are copied too if they are missing here.

        Raises:
            OtherBaseError: the banks have different bases.
            BadNameError, NoSuchTaskError: no such task in the source, or no such new name.
            NameTakenError, StorageError: as `add_task`.
            DamagedError, NewerFormatError: of the source's file; a parent here is another task.
        """
        check_same_base(self.path, self.record, source.path, source.record)
        new = name if as_name is None else check_task_name(as_name)
        task, data = source.read_sealed(name)
        here = set(self.tasks())
        for parent in [one.task for one in needed_parents(task) if one.task not in here]:
            self.copy_task(parent, source)
        copy = self._add(new, data if new == name else renamed(self.record, task, new))
        signatures.copy_signature(source.path, task, self.folder, self.record, copy)
        return copy

    def remove_task(self, name: str) -> None:
        """Remove a task's file, durably, and its signature's.

        Raises:
            BadNameError, NoSuchTaskError: no such task.
            InUseError: a combination is made of it.
            StorageError: the system refused.
        """
        path = task_folder.task_path(self.folder, name)
        if files.exists(path):
            refuse_parent(self.folder, name, self.children(name))
        try:
            files.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            raise task_folder.no_such_task(self.folder, name) from None
        signatures.remove_signature(self.folder, name)

    def settle(self) -> None:
        """Force the tasks' names to the disk, before reporting that one exists or is gone.

        The command that added or removed it may have been killed before doing so.

        Raises:
            StorageError: the system refused.
        """
        task_folder.settle_tasks(self.folder)

    def _read_task_if_there(self, name: str) -> Task | None:
        with suppress(NoSuchTaskError):
            return self.read_task(name)
        return None

    def _parse(self, name: str, data: bytes) -> Task:
        read_parent = partial(read_mask, self.path, self.record)
        return parse_task(data, self.record, name, str(self.task_path(name)), read_parent)

    def _add(self, name: str, data: bytes) -> Task:
        task = self._parse(name, data)
        task_folder.commit_task_file(self.folder, name, data)
        return task
