"""What `learn-stream` answers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from supsup_cli.workflows.results import LearnedTask


@dataclass(frozen=True)
class StreamDecision:
    """From `batch` on, counted from 0, batches belong to `task`.

    `new`: no mask knew them; `task` is then the mask that was opened, or None when the budget had
    none left.
    """

    batch: int
    task: str | None
    new: bool


@dataclass(frozen=True)
class StreamResult:
    """Answer of `learn-stream`; no decisions where the stream had been learned before."""

    tasks: "tuple[LearnedTask, ...]"
    decisions: tuple[StreamDecision, ...]
    batches: int
    rule: str
    seconds: float
    exit_code: ClassVar[int] = 0
