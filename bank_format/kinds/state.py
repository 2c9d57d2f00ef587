"""Unfinished work: the state that a learner saves under work/<task>/ to continue after a stop.

A state is derived: a learner that finds it damaged, or made for something else, starts anew. So no
answer depends on it, and discarding it loses only time. Large and rarely changing values are
separate: in parts, files named after their seals, which the state lists.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bank_format.disk.atomic import is_temporary
from bank_format.disk.files import exists, list_names, make_folder, read_bytes, replace, unlink
from bank_format.encoding.sealed import HEADER_LIMIT, SEAL_SIZE, Tensor, Tensors, seal, unseal
from bank_format.encoding.strict_json import from_json, to_json
from bank_format.errors import DamagedError, OtherBaseError
from bank_format.kinds.bank_json import BankRecord, BankSpec
from bank_format.kinds.base import check_kind
from bank_format.names import check_digest, is_task_name

__all__ = [
    "PART_FILE",
    "STATE_FILE",
    "StateContent",
    "WorkFolder",
    "WorkState",
    "build_state",
    "discard_state",
    "is_work_file",
    "list_parts",
    "parse_state",
    "read_part",
    "remove_parts",
    "state_limit",
    "write_part",
]

STATE_FILE = "state.safetensors"
PART_FILE = re.compile(r"part-([0-9a-f]{64})\.safetensors")  # digits of the seal
_HINT = "learning starts anew; supsup tasks clean removes the file"


@dataclass(frozen=True, slots=True, eq=False)
class WorkState:
    """The progress of a learner.

    Args:
        plan: SHA-256, 64 hex digits, over everything that decides what is learned.
        step: optimiser steps done.
        tensors: uint8, float32 or float64 arrays by name; only their writer knows their meaning.
    """

    plan: str
    step: int
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateContent:
    """The metadata of a state file."""

    kind: Literal["state"] = "state"
    version: Literal[1] = 1
    task: str
    base_sha256: str
    plan: str
    step: int

    def __post_init__(self) -> None:
        if not is_task_name(self.task):
            raise ValueError(f"task name {self.task[:80]!r} found, expected one a task can have")
        check_digest(self.base_sha256)
        check_digest(self.plan)
        if self.step < 0:
            raise ValueError(f"step {self.step} found, expected at least 0")


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """The folder of one task that is being learned; its claim names the learner.

    Args:
        folder: work/<task>.
        task: the task's name.
        record: of the bank.
    """

    folder: Path
    task: str
    record: BankRecord

    @property
    def path(self) -> Path:
        """The path of the state, whether it exists or not."""
        return self.folder / STATE_FILE

    def read(self) -> WorkState | None:
        """Read the state that an earlier learner left, checked in full; None if it left none.

        Raises:
            DamagedError, NewerFormatError, OtherBaseError: of the state file.
            StorageError: the system refused.
        """
        try:
            data = read_bytes(self.path, state_limit(self.record))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return parse_state(data, self.record, self.task, str(self.path))

    def write(self, state: WorkState) -> int:
        """Replace the last state, in one step and durably.

        Returns:
            Its size on disk, bytes.

        Raises:
            StorageError: the system refused; the last state is unchanged.
            ValueError: a plan, step or tensor that has no place in a state file.
        """
        data = build_state(self.record, self.task, state)
        _put(self.path, data)
        return len(data)

    def discard(self) -> None:
        """Remove the state, once the task is committed.

        Raises:
            StorageError: the system refused.
        """
        discard_state(self.folder)


def state_limit(spec: BankSpec) -> int:
    """Return the largest number of bytes that a state file of this network may have.

    Scores and two moments for each weight in float32 leave room for one more.
    """
    return 2 * HEADER_LIMIT + 16 * spec.weights


def build_state(record: BankRecord, task: str, state: WorkState) -> bytes:
    """Write a state file; equal input gives equal bytes.

    Raises:
        ValueError: a plan, step or tensor that has no place in it, or more than `state_limit`.
    """
    content = StateContent(
        task=task, base_sha256=record.base_sha256, plan=state.plan, step=state.step
    )
    data = seal(state.tensors, {"content": to_json(content)})
    if len(data) > state_limit(record):
        raise ValueError(f"a state of {len(data)} bytes, expected at most {state_limit(record)}")
    return data


def parse_state(data: bytes, record: BankRecord, task: str, name: str) -> WorkState:
    """Read a state file, checked in full.

    Args:
        data: the whole file.
        record: of the bank.
        task: the name of the folder it stands in.
        name: the file's name, for messages.

    Raises:
        DamagedError: anything but what `build_state` writes, or another task's name inside.
        NewerFormatError: a version or kind this reader does not know.
        OtherBaseError: learned over another base.
    """
    tensors, metadata = unseal(data, name)
    stated = check_kind(metadata, "state", name)
    try:
        if metadata != {"content": stated}:
            raise ValueError("metadata has other keys than content")
        content = from_json(StateContent, stated, "content")
        if content.task != task:
            raise ValueError(f"task {content.task!r} found inside, expected {task!r}")
    except ValueError as error:
        raise DamagedError(f"{name}: {error}", hint=_HINT) from error
    if content.base_sha256 != record.base_sha256:
        raise OtherBaseError(
            f"{name}: base {content.base_sha256[:16]}… found, "
            f"this bank has {record.base_sha256[:16]}…",
            hint=_HINT,
        )
    return WorkState(content.plan, content.step, _of_this_machine(tensors))


def is_work_file(name: str) -> bool:
    """Return whether a name is that of a state, of a part of one, or of one half written."""
    return name == STATE_FILE or PART_FILE.fullmatch(name) is not None or is_temporary(name)


def discard_state(folder: Path) -> None:
    """Remove state, parts and temporary files from a folder of work that the caller has claimed.

    Raises:
        StorageError: the system refused.
    """
    try:
        names = list_names(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if is_work_file(name):
            unlink(folder / name)


def _of_this_machine(tensors: Tensors) -> Tensors:
    return {
        name: tensor.astype(tensor.dtype.newbyteorder("="), copy=False)
        for name, tensor in tensors.items()
    }


def _put(path: Path, data: bytes) -> None:
    """Write a file of a state; without working locks, another learner may have tidied up."""
    if not exists(path.parent):
        make_folder(path.parent)
    replace(path, data)


def write_part(work: WorkFolder, part: WorkState) -> str:
    """Write a part of a state that is about to be written, durably.

    Returns:
        Its seal, 64 hex digits, which names it.

    Raises:
        StorageError: the system refused.
        ValueError: a plan, step or tensor that has no place in it.
    """
    data = build_state(work.record, work.task, part)
    name = data[-SEAL_SIZE:].hex()
    _put(_path(work, name), data)
    return name


def read_part(work: WorkFolder, name: str) -> WorkState:
    """Read a part, checked in full.

    Raises:
        DamagedError: it is missing, or is not the file that was written under that name.
        NewerFormatError, OtherBaseError: see `parse_state`.
        StorageError: the system refused.
    """
    path = _path(work, name)
    try:
        data = read_bytes(path, state_limit(work.record))
    except (FileNotFoundError, NotADirectoryError):
        raise DamagedError(f"{path}: no such file found, expected one", hint=_HINT) from None
    part = parse_state(data, work.record, work.task, str(path))
    found = data[-SEAL_SIZE:].hex()
    if found != name:
        raise DamagedError(f"{path}: seal {found[:16]}… found, expected its name", hint=_HINT)
    return part


def list_parts(work: WorkFolder) -> list[str]:
    """List the parts in a folder of work, needed or not, sorted.

    Raises:
        StorageError: the system refused.
    """
    try:
        matches = map(PART_FILE.fullmatch, list_names(work.folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(match[1] for match in matches if match)


def remove_parts(work: WorkFolder, *, but: Collection[str]) -> None:
    """Remove the parts that the state does not list.

    Raises:
        StorageError: the system refused.
    """
    for name in set(list_parts(work)).difference(but):
        unlink(_path(work, name))


def _path(work: WorkFolder, name: str) -> Path:
    return work.folder / f"part-{name}.safetensors"
