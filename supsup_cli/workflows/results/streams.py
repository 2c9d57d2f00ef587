"""What `learn-stream` answers."""

from dataclasses import dataclass

from supsup_cli.workflows.results.common import SOME_INPUTS_FAILED, FailedInput
from supsup_cli.workflows.results.learning import LearnedTask


@dataclass(frozen=True)
class StreamDecision:
    """From `batch` on, counted from 0, batches belong to `task`.

    `new`: no mask knew them; `task` is then the mask that was opened, or None if the budget was
        used up.
    """

    batch: int
    task: str | None
    new: bool


@dataclass(frozen=True)
class StreamResult:
    """Answer of `learn-stream`; no decisions if the stream had been learned before.

    `batches` counts those of all visits; after an interruption, those done so far.
    """

    tasks: tuple[LearnedTask, ...]
    decisions: tuple[StreamDecision, ...]
    batches: int
    rule: str
    seconds: float
    failed: tuple[FailedInput, ...]

    @property
    def exit_code(self) -> int:
        """Done, but some inputs failed."""
        return SOME_INPUTS_FAILED if self.failed else 0
