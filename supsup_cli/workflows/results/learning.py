"""What `init-base` and `learn-task` answer."""

from dataclasses import dataclass
from typing import ClassVar

from supsup_cli.workflows.results.common import SOME_INPUTS_FAILED, FailedInput


@dataclass(frozen=True)
class InitResult:
    """Answer of `init-base`; `bytes` counts bank.json and the base.

    Of the base's tensors `taken` came from a file and `drawn` from the seed; `left_over` are the
    names in the file that nothing was taken of.
    """

    bank: str
    status: str
    arch: str
    parameters: int
    outputs: int
    seed: int
    base_sha256: str
    bytes: int
    taken: int
    drawn: int
    left_over: tuple[str, ...]
    exit_code: ClassVar[int] = 0


@dataclass(frozen=True)
class LearnedTask:
    """One task of `learn-task`; `seconds` is 0 and nothing changed if its status is `exists`.

    With status `known` it is the task that the data belongs to, and nothing was learned.
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
