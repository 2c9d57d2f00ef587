"""What the answers of all commands have in common."""

from collections.abc import Iterable, Sequence
from dataclasses import Field, dataclass
from typing import Any, ClassVar, Protocol, cast

from bank_format.encoding.canonical_json import Json
from bank_format.encoding.strict_json import from_json

SOME_INPUTS_FAILED = 3
# Exit codes by priority: the command's is the first of these that was found.
WORST_FIRST = (5, 12, 13)


class Result(Protocol):
    """A dataclass that a command answers, with the exit code that goes with it."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def exit_code(self) -> int:
        """The command's exit code."""


@dataclass(frozen=True)
class FailedInput:
    """An input file that could not be read, and why."""

    source: str
    error: str


@dataclass(frozen=True)
class LeftOutTask:
    """A task that could have had a part in an answer and cannot be read: the others answered.

    `exit` is the exit code that reading it gives.
    """

    task: str
    message: str
    exit: int

    @property
    def told(self) -> str:
        """The line that says so beside an answer."""
        return f"{self.message}; the other tasks answer"


def partial_code(left_out: Sequence[LeftOutTask], failed: bool) -> int:
    """Return the exit code of a command that could not do everything: the worst goes first."""
    codes = {one.exit for one in left_out}
    found = next((code for code in WORST_FIRST if code in codes), None)
    return found or (SOME_INPUTS_FAILED if failed else 0)


def joined_left_out(parts: Iterable[object]) -> tuple[LeftOutTask, ...]:
    """Join what ranks left out, each a list in JSON; a task once, by name."""
    told = (from_json(LeftOutTask, one) for part in parts for one in cast("list[Json]", part))
    return tuple({one.task: one for one in sorted(told, key=lambda one: one.task)}.values())
