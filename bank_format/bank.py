"""A bank: a folder with a frozen base and a file per task, which grows a file at a time."""

import dataclasses
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bank_format import files, locks
from bank_format.base_file import weights_of
from bank_format.combination_file import build_combination
from bank_format.creation import create_bank
from bank_format.errors import DamagedError, NameTakenError, NoSuchTaskError, OtherBaseError
from bank_format.kinship import children_of, refuse_parent
from bank_format.layout import CLAIM, MASKS, SUFFIX, WORK, file_limit, read_base, read_record
from bank_format.names import check_task_name, is_task_name
from bank_format.records import BankRecord, BankSpec
from bank_format.sealed import Tensor
from bank_format.task_file import Task, build_task
from bank_format.task_reading import parse_task
from bank_format.task_records import Provenance, TaskFacts

__all__ = ["Bank"]


@dataclass(frozen=True, slots=True)
class Bank:
    """An open bank. Opening reads bank.json alone; every read of another file is checked in full.

    Args:
        path: the bank's folder.
        record: what bank.json says.
    """

    path: Path
    record: BankRecord

    @classmethod
    def create(cls, path: Path, spec: BankSpec, tensors: Mapping[str, Tensor]) -> tuple[Self, bool]:
        """Create a bank, or open the one of an equal spec and base that is there already.

        bank.json is written last: what a killed create left is completed by the next.

        Args:
            path: the folder; made where it is missing.
            spec: what the base is made of.
            tensors: the base as stored; see `build_base`.

        Returns:
            The bank, and whether this call created it.

        Raises:
            NameTakenError: another bank, or a folder with something else in it.
            DamagedError, NewerFormatError: the bank there cannot be read.
            StorageError: the system refused.
            ValueError: the tensors are not those that the spec demands.
        """
        record, created = create_bank(path, spec, tensors)
        return cls(path, record), created

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the bank in a folder.

        Raises:
            NoBankError: there is no bank.json.
            DamagedError, NewerFormatError: of bank.json.
            StorageError: the system refused.
        """
        return cls(path, read_record(path))

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
        try:
            found = files.list_names(self.path / MASKS)
        except FileNotFoundError:
            return []  # copies and version control lose an empty folder
        except NotADirectoryError as error:
            raise files.storage_error("list", self.path / MASKS, error) from error
        names = (name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX))
        return sorted(name for name in names if is_task_name(name))

    def task_path(self, name: str) -> Path:
        """Return where a task's file stands, or would stand.

        Raises:
            BadNameError: no task can have that name.
        """
        return self.path / MASKS / f"{check_task_name(name)}{SUFFIX}"

    def read_task(self, name: str) -> Task:
        """Read a task, checked in full.

        Raises:
            BadNameError, NoSuchTaskError: no such task.
            DamagedError, NewerFormatError, OtherBaseError: of its file.
            StorageError: the system refused.
        """
        return self._parse(name, self._read(name))

    def read_mask(self, name: str) -> Task:
        """Read a task that has masks of its own, as a combination's parent must.

        Raises:
            BankError: as `read_task`; a combination is refused as damage.
        """
        path = str(self.task_path(name))
        return parse_task(self._read(name), self.record, name, path, None)

    def children(self, name: str) -> list[str]:
        """Name the combinations that cannot be read without a task, sorted.

        Raises:
            BadNameError: no task can have that name.
            StorageError: the folder cannot be listed.
        """
        return children_of(check_task_name(name), self.tasks(), self._read)

    def read_tasks(
        self, names: Sequence[str] | None = None
    ) -> tuple[list[Task], NDArray[np.uint8]]:
        """Read many tasks, each file checked in full, their masks into one array.

        Args:
            names: the tasks, in the order of the rows; all of `tasks()` if None.

        Returns:
            The tasks, whose masks are views of the array, and (T, mask_bytes) uint8, contiguous:
            a row holds the packed bits of all masked parameters in the record's order, each
            beginning on a byte.

        Raises:
            BankError: as `read_task`.
        """
        names = self.tasks() if names is None else names
        stack = np.empty((len(names), self.record.mask_bytes), dtype=np.uint8)
        tasks = []
        for row, name in zip(stack, names, strict=True):
            task = self.read_task(name)
            np.concatenate(list(task.masks.values()), out=row)
            ends = np.cumsum([len(mask) for mask in task.masks.values()])[:-1]
            views = dict(zip(task.masks, np.split(row, ends), strict=True))
            tasks.append(dataclasses.replace(task, masks=views))
        return tasks, stack

    def add_task(
        self,
        facts: TaskFacts,
        masks: Mapping[str, NDArray[np.bool_] | NDArray[np.uint8]],
        statistics: Mapping[str, NDArray[np.float32]],
        provenance: Provenance,
    ) -> Task:
        """Add a task: its file appears whole and durably, or not at all.

        Args:
            facts: what the learner knows; the name among it.
            masks: see `build_task`.
            statistics: float32 arrays by name.
            provenance: where and when.

        Returns:
            The task as a reader finds it.

        Raises:
            NameTakenError: a task of that name is there; it is untouched.
            StorageError: the system refused.
            ValueError: masks, statistics or facts that do not fit the bank.
        """
        data = build_task(self.record, facts, masks, statistics, provenance)
        return self._add(facts.task, data)

    def add_combination(
        self,
        facts: TaskFacts,
        coefficients: Mapping[str, NDArray[np.float32]],
        statistics: Mapping[str, NDArray[np.float32]],
        provenance: Provenance,
    ) -> Task:
        """Add a task made of the masks of others: its file appears whole and durably, or not.

        Args:
            facts: what the learner knows; its parents are what is combined.
            coefficients: see `combined_masks`.
            statistics: float32 arrays by name.
            provenance: where and when.

        Returns:
            The task as a reader finds it, with its masks.

        Raises:
            NameTakenError: a task of that name is there; it is untouched.
            DamagedError: a parent is missing, or not the one that was combined.
            StorageError: the system refused.
            ValueError: coefficients, statistics or facts that do not fit the bank.
        """
        data = build_combination(self.record, facts, coefficients, statistics, provenance)
        return self._add(facts.task, data)

    def copy_task(self, name: str, source: Self, as_name: str | None = None) -> Task:
        """Copy a task of a bank of the same base into this one; provenance goes with it.

        Under its own name the file's bytes are copied; under another its content is the same but
        for the name. The parents of a combination come with it where they are not here.

        Raises:
            OtherBaseError: the banks have different bases.
            BadNameError, NoSuchTaskError: no such task in the source, or no such new name.
            NameTakenError: the name is taken here; the task there is untouched.
            DamagedError, NewerFormatError: of the source's file.
            StorageError: the system refused.
        """
        theirs, ours = source.record.base_sha256, self.record.base_sha256
        if theirs != ours:
            raise OtherBaseError(
                f"{source.path}: base {theirs[:16]}… found, {self.path} has {ours[:16]}…",
                hint="copy between banks made with the same options of supsup init-base",
            )
        data = source._read(name)
        task = source._parse(name, data)
        if task.coefficients:
            here = set(self.tasks())
            for parent in task.content.parents:
                if parent.task not in here:
                    self.copy_task(parent.task, source)
        if as_name is None or as_name == name:
            return self._add(name, data)
        facts = dataclasses.replace(task.content, task=check_task_name(as_name))
        if task.coefficients:
            return self.add_combination(facts, task.coefficients, task.statistics, task.provenance)
        return self.add_task(facts, task.masks, task.statistics, task.provenance)

    def remove_task(self, name: str) -> None:
        """Remove a task's file, durably.

        Raises:
            BadNameError, NoSuchTaskError: no such task.
            InUseError: a combination is made of it.
            StorageError: the system refused.
        """
        refuse_parent(self.path, name, self.children(name))
        try:
            files.unlink(self.task_path(name))
        except (FileNotFoundError, NotADirectoryError):
            raise self._no_such_task(name) from None

    @contextmanager
    def claim(self, name: str) -> Iterator[None]:
        """Claim a task's name while it is being learned; a dead process's claim does not block.

        Best effort across machines: whoever commits first has the name.

        Raises:
            BadNameError: no task can have that name.
            LockedError: another live process holds the claim.
            StorageError: the bank cannot be written.
        """
        with locks.lock(self.path / WORK / check_task_name(name) / CLAIM):
            yield

    def _read(self, name: str) -> bytes:
        try:
            return files.read_bytes(self.task_path(name), file_limit(self.record))
        except (FileNotFoundError, NotADirectoryError):
            if self.task_path(name).is_symlink():
                raise DamagedError(
                    f"{self.task_path(name)}: a link to nothing found, expected a task's file",
                    hint="restore the file it leads to, or remove the link",
                ) from None
            raise self._no_such_task(name) from None

    def _parse(self, name: str, data: bytes) -> Task:
        return parse_task(data, self.record, name, str(self.task_path(name)), self.read_mask)

    def _add(self, name: str, data: bytes) -> Task:
        task = self._parse(name, data)
        self._commit(name, data)
        return task

    def _commit(self, name: str, data: bytes) -> None:
        path = self.task_path(name)
        files.make_folder(path.parent)
        try:
            files.write_new(path, data)
        except NameTakenError as error:
            raise NameTakenError(
                f"{path}: a task {name!r} found, expected none; it is unchanged",
                hint="choose another name with --name, or remove the task first: "
                f"supsup tasks remove {name} --bank {shlex.quote(str(self.path))}",
            ) from error

    def _no_such_task(self, name: str) -> NoSuchTaskError:
        return NoSuchTaskError(
            f"{self.path}: no task {name!r} found among {len(self.tasks())}",
            hint=f"supsup tasks --bank {shlex.quote(str(self.path))}",
        )
