"""What `infer-task`, `predict` and `evaluate` answer."""

from dataclasses import dataclass
from typing import Literal

from supsup_cli.workflows.results.common import FailedInput, LeftOutTask, partial_code
from supsup_cli.workflows.results.hopfield import RecoveryReport


@dataclass(frozen=True)
class InferredSource:
    """One decision; an input that cannot be read has an `error` and neither task nor scores.

    `recovery` is None except with the method `hopfield`. `masks_tried` counts the masks run to
    decide; `truncated` is true if more were in doubt than could be tried.
    """

    source: str
    images: int
    task: str | None
    known: bool | None
    scores: tuple[tuple[str, float], ...]
    error: str | None
    recovery: RecoveryReport | None = None
    masks_tried: int = 0
    truncated: bool = False


@dataclass(frozen=True)
class InferResult:
    """Answer of `infer-task`; scores in nats, larger is better; with signatures ln p of the task.

    With the method `hopfield` a score is minus the bits between the recovered mask and the task's.
    """

    method: str
    objective: str
    group: str
    results: tuple[InferredSource, ...]
    seconds: float
    plot: str | None
    left_out: tuple[LeftOutTask, ...] = ()

    @property
    def exit_code(self) -> int:
        """Done, but some tasks were left out, or some inputs failed."""
        return partial_code(self.left_out, failed=any(one.error for one in self.results))


@dataclass(frozen=True)
class PredictedSource:
    """One image's task and class; `probability` is of the class among the task's own classes.

    `masks_tried` counts the masks run to infer the task.
    """

    source: str
    task: str | None
    known: bool | None
    label: str | None
    probability: float | None
    error: str | None
    masks_tried: int = 0


SortStatus = Literal["copied", "linked", "exists", "failed"]


@dataclass(frozen=True)
class SortedImage:
    """Where `predict --sort` put an image, or why it could not: then `file` is None."""

    source: str
    file: str | None
    status: SortStatus
    error: str | None


@dataclass(frozen=True)
class PredictResult:
    """Answer of `predict`; method, objective and group are None if the task was given.

    `recoveries`: with the method `hopfield`, one for each group, in order. `sheets`: pages of the
        contact sheet. `sorted_images`: one for each readable image, in order.
    """

    results: tuple[PredictedSource, ...]
    method: str | None
    objective: str | None
    group: str | None
    seconds: float
    recoveries: tuple[RecoveryReport, ...]
    sheets: tuple[str, ...] = ()
    sorted_images: tuple[SortedImage, ...] = ()
    left_out: tuple[LeftOutTask, ...] = ()

    @property
    def exit_code(self) -> int:
        """Done, but some tasks were left out, or some inputs failed."""
        failed = [one.error for one in self.results] + [one.error for one in self.sorted_images]
        return partial_code(self.left_out, failed=any(failed))


@dataclass(frozen=True)
class Scores:
    """Shares from 0 to 1: task given, task and class both right (GNu), class right (GNs).

    `short_list_recall`: decisions that compared the right task; `masks_tried`: mean per decision.
    """

    accuracy_given: float
    accuracy_inferred: float
    accuracy_inferred_shared: float
    task_accuracy: float
    false_alarms: float
    short_list_recall: float
    masks_tried: float


@dataclass(frozen=True)
class EvaluatedTask(Scores):
    """One task of `evaluate`."""

    task: str
    images: int


@dataclass(frozen=True)
class GroupScores(Scores):
    """The mean over tasks, with `group` images decided together."""

    group: int


@dataclass(frozen=True)
class NamedTask:
    """How many `images` of `task` were taken for the task `named`; right if both agree."""

    task: str
    named: str
    images: int


@dataclass(frozen=True)
class TaskRecovery(RecoveryReport):
    """A recovery from images of the task `of`; `right` says whether that task was recovered."""

    of: str
    right: bool


@dataclass(frozen=True)
class EvaluateResult:
    """Answer of `evaluate`; `mean` weighs tasks alike, `confusion` holds counts above zero.

    `recoveries`: with the method `hopfield`, one for each group of each task.
    """

    tasks: tuple[EvaluatedTask, ...]
    mean: Scores
    by_group: tuple[GroupScores, ...]
    confusion: tuple[NamedTask, ...]
    method: str
    objective: str
    group: str
    seconds: float
    plot: str | None
    csv: str | None
    failed: tuple[FailedInput, ...]
    recoveries: tuple[TaskRecovery, ...]
    left_out: tuple[LeftOutTask, ...] = ()

    @property
    def exit_code(self) -> int:
        """Done, but some tasks were left out, or some inputs failed."""
        return partial_code(self.left_out, failed=bool(self.failed))


@dataclass(frozen=True)
class LinesResult:
    """Summary of a stream of answers; `new` counts images of no known task."""

    answers: int
    failed: int
    new: int
    left_out: tuple[LeftOutTask, ...] = ()

    @property
    def exit_code(self) -> int:
        """Done, but some tasks were left out, or some inputs failed."""
        return partial_code(self.left_out, failed=self.failed > 0)
