"""What `learn-task` answers."""

from dataclasses import dataclass

from supsup_cli.workflows.results.common import SOME_INPUTS_FAILED, FailedInput


@dataclass(frozen=True)
class LearnedTask:
    """One task of `learn-task`; with status `exists` nothing changed and `seconds` is 0.

    With status `known` the data belong to this task, and nothing was learned.
    """

    task: str
    kind: str
    status: str
    accuracy: float | None
    steps: int
    seconds: float
    density: float
    bytes: int
    content_sha256: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class LearnResult:
    """Answer of `learn-task`."""

    tasks: tuple[LearnedTask, ...]
    failed: tuple[FailedInput, ...]

    @property
    def exit_code(self) -> int:
        """Done, but some inputs failed."""
        return SOME_INPUTS_FAILED if self.failed else 0
