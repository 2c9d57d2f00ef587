"""What `data list` and `data export` answer."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class DataForm:
    """One form of names that `--data` understands.

    `train` is the most that a task can have; data with `needs_root` are under `--data-root`.
    """

    name: str
    meaning: str
    classes: int
    train: int
    test: int
    needs_root: bool


@dataclass(frozen=True)
class DataListResult:
    """Answer of `data list`."""

    data: tuple[DataForm, ...]
    exit_code: ClassVar[int] = 0


@dataclass(frozen=True)
class DataExportResult:
    """Answer of `data export`."""

    files: tuple[str, ...]
    exit_code: ClassVar[int] = 0
