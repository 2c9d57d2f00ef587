"""What `tasks` and `verify` answer."""

from dataclasses import dataclass
from typing import ClassVar

_WORST_FIRST = (5, 12, 13)


@dataclass(frozen=True)
class ListedTask:
    """One task of `tasks`; `accuracy` is a share of the test split, `created` is UTC."""

    task: str
    kind: str
    data: str
    classes: int
    recipe: str
    steps: int
    density: float
    accuracy: float | None
    bytes: int
    created: str
    content_sha256: str


@dataclass(frozen=True)
class TasksResult:
    """Answer of `tasks`."""

    tasks: tuple[ListedTask, ...]
    exit_code: ClassVar[int] = 0


@dataclass(frozen=True)
class FoundProblem:
    """A file of the bank, what is wrong with it, and the exit code that reading it gives."""

    file: str
    message: str
    exit: int


@dataclass(frozen=True)
class VerifyResult:
    """Answer of `verify`."""

    ok: bool
    problems: tuple[FoundProblem, ...]
    hints: tuple[str, ...]
    tasks: int

    @property
    def exit_code(self) -> int:
        """Damage first, then files of another base or a newer format, then what I/O refused."""
        codes = {problem.exit for problem in self.problems}
        return next((code for code in _WORST_FIRST if code in codes), 0)
