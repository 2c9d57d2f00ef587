"""Parts of a state: what is large and seldom changes, in files named after their seals.

Parts are written before the state that names them, and those that it does not name are removed
after it. So at every moment the state that stands has all of its parts, however many have changed.
"""

from collections.abc import Collection
from pathlib import Path

from bank_format.disk.files import list_names, read_bytes, replace, unlink
from bank_format.encoding.sealed import SEAL_SIZE
from bank_format.errors import DamagedError
from bank_format.kinds.state import (
    PART_FILE,
    WorkFolder,
    WorkState,
    build_state,
    parse_state,
    state_limit,
)

__all__ = ["list_parts", "read_part", "remove_parts", "write_part"]

_HINT = "learning starts anew; supsup tasks clean removes the file"


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
    replace(_path(work, name), data)
    return name


def read_part(work: WorkFolder, name: str) -> WorkState:
    """Read a part, checked in full.

    Raises:
        DamagedError: it is not there, or is not the file that was written under that name.
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
    """Name the parts that stand in a folder of work, needed or not, sorted.

    Raises:
        StorageError: the system refused.
    """
    try:
        matches = map(PART_FILE.fullmatch, list_names(work.folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(match[1] for match in matches if match)


def remove_parts(work: WorkFolder, *, but: Collection[str]) -> None:
    """Remove the parts that the state does not name.

    Raises:
        StorageError: the system refused.
    """
    for name in set(list_parts(work)).difference(but):
        unlink(_path(work, name))


def _path(work: WorkFolder, name: str) -> Path:
    return work.folder / f"part-{name}.safetensors"
