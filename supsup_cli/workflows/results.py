"""What commands answer: frozen dataclasses whose field names are the keys of `--json`."""

from dataclasses import dataclass
from typing import ClassVar

from supsup_cli.workflows.stream_results import StreamResult

SOME_INPUTS_FAILED = 3
_WORST_FIRST = (5, 12, 13)


@dataclass(frozen=True)
class InitResult:
    """Answer of `init-base`; `bytes` counts bank.json and the base."""

    bank: str
    status: str
    arch: str
    parameters: int
    outputs: int
    seed: int
    base_sha256: str
    bytes: int
    exit_code: ClassVar[int] = 0


@dataclass(frozen=True)
class LearnedTask:
    """One task of `learn-task`; `seconds` is 0 and nothing changed if its status is `exists`.

    With status `known` it is the task that the data belongs to, and nothing was learned.
    """

    task: str
    status: str
    accuracy: float | None
    steps: int
    seconds: float
    density: float
    bytes: int
    content_sha256: str


@dataclass(frozen=True)
class FailedInput:
    """An input file that could not be read, and why."""

    source: str
    error: str


@dataclass(frozen=True)
class LearnResult:
    """Answer of `learn-task`."""

    tasks: tuple[LearnedTask, ...]
    failed: tuple[FailedInput, ...]

    @property
    def exit_code(self) -> int:
        """Done, but some inputs failed."""
        return SOME_INPUTS_FAILED if self.failed else 0


@dataclass(frozen=True)
class InferredSource:
    """One decision; an input that cannot be read has an `error` and neither task nor scores."""

    source: str
    images: int
    task: str | None
    known: bool | None
    scores: tuple[tuple[str, float], ...]
    error: str | None


@dataclass(frozen=True)
class InferResult:
    """Answer of `infer-task`; scores in nats, larger is better."""

    method: str
    objective: str
    group: str
    results: tuple[InferredSource, ...]
    seconds: float

    @property
    def exit_code(self) -> int:
        """Done, but some inputs failed."""
        return SOME_INPUTS_FAILED if any(one.error for one in self.results) else 0


@dataclass(frozen=True)
class PredictedSource:
    """One image's task and class; `probability` is of the class among the task's own classes."""

    source: str
    task: str | None
    known: bool | None
    label: str | None
    probability: float | None
    error: str | None


@dataclass(frozen=True)
class PredictResult:
    """Answer of `predict`; method, objective and group are None where the task was given."""

    results: tuple[PredictedSource, ...]
    method: str | None
    objective: str | None
    group: str | None
    seconds: float

    @property
    def exit_code(self) -> int:
        """Done, but some inputs failed."""
        return SOME_INPUTS_FAILED if any(one.error for one in self.results) else 0


@dataclass(frozen=True)
class Scores:
    """Shares from 0 to 1: task given, task and class both right (GNu), class right (GNs)."""

    accuracy_given: float
    accuracy_inferred: float
    accuracy_inferred_shared: float
    task_accuracy: float
    false_alarms: float


@dataclass(frozen=True)
class EvaluatedTask(Scores):
    """One task of `evaluate`."""

    task: str
    images: int


@dataclass(frozen=True)
class EvaluateResult:
    """Answer of `evaluate`; `mean` weighs tasks alike."""

    tasks: tuple[EvaluatedTask, ...]
    mean: Scores
    method: str
    objective: str
    group: str
    seconds: float
    failed: tuple[FailedInput, ...]

    @property
    def exit_code(self) -> int:
        """Done, but some inputs failed."""
        return SOME_INPUTS_FAILED if self.failed else 0


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
class StoredBytes:
    """Bytes on disk, a sum for each kind of file."""

    base: int
    masks: int
    hopfield: int
    total: int


@dataclass(frozen=True)
class Rivals:
    """What other ways to keep as many tasks would take, in bytes.

    `float_scores`: four bytes a masked weight and task. `networks`: a float32 copy of the network
    for each task. `dense_hidden`: hidden units of the float32 net with one hidden layer that takes
    no more bytes than one task file; 0 if there is none.
    """

    float_scores: int
    networks: int
    dense_hidden: int


@dataclass(frozen=True)
class TaskStats:
    """One task of `stats`; `overlap` is the mean share of all tasks that keep a weight it keeps."""

    task: str
    kind: str
    bytes: int
    density: float
    accuracy: float | None
    created: str
    overlap: float


@dataclass(frozen=True)
class StatsResult:
    """Answer of `stats`; `overlaps` holds (task, task, share of equal bits) where asked for."""

    tasks: int
    parameters: int
    bytes: StoredBytes
    bits_per_weight: float
    per_task: tuple[TaskStats, ...]
    rivals: Rivals
    overlaps: tuple[tuple[str, str, float], ...]
    plot: str | None
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


@dataclass(frozen=True)
class DataForm:
    """One form of names that `--data` understands."""

    name: str
    meaning: str
    classes: int
    train: int
    test: int


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


Result = (
    InitResult
    | LearnResult
    | StreamResult
    | InferResult
    | PredictResult
    | EvaluateResult
    | TasksResult
    | StatsResult
    | VerifyResult
    | DataListResult
    | DataExportResult
)
