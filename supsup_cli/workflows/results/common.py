"""What the answers of all commands have in common."""

from dataclasses import Field, dataclass
from typing import Any, ClassVar, Protocol

SOME_INPUTS_FAILED = 3


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
