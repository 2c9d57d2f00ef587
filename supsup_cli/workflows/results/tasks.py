"""What `tasks` and its commands answer; `status` says what was done, or would be done."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from supsup_cli.workflows.results.common import (
    SOME_INPUTS_FAILED,
    FailedInput,
    LeftOutTask,
    partial_code,
)


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
    left_out: tuple[LeftOutTask, ...] = ()

    @property
    def exit_code(self) -> int:
        """Done, but for tasks that cannot be read."""
        return partial_code(self.left_out, failed=False)


@dataclass(frozen=True)
class ShownClass:
    """A class and its output of the network."""

    name: str
    output: int


@dataclass(frozen=True)
class ShownLayer:
    """The mask of one parameter: `bytes` as stored, `density` the share of weights kept.

    `coefficients` are a combination's: one for each parent, in order, then the bias.
    """

    parameter: str
    shape: tuple[int, ...]
    weights: int
    ones: int
    density: float
    coding: str
    bytes: int
    coefficients: tuple[float, ...]


@dataclass(frozen=True)
class ShownCalibration:
    """Quantiles of the task's own scores: `values` at `levels`."""

    objective: str
    images: int
    levels: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class ShownParent:
    """A task that learning started from, or that a combination is made of."""

    task: str
    content_sha256: str


@dataclass(frozen=True)
class ShownTask(ListedTask):
    """Everything in a task file; `settings` are the recipe's, `statistics` maps names to shapes."""

    file: str
    base_sha256: str
    data_digest: str
    settings: Mapping[str, int | float | str]
    seed: int
    correct: int | None
    images: int | None
    class_names: tuple[ShownClass, ...]
    layers: tuple[ShownLayer, ...]
    calibration: ShownCalibration | None
    parents: tuple[ShownParent, ...]
    statistics: Mapping[str, tuple[int, ...]]
    seconds: float
    machine: str
    versions: Mapping[str, str]
    source: str


@dataclass(frozen=True)
class ShowResult:
    """Answer of `tasks show`."""

    tasks: tuple[ShownTask, ...]
    exit_code: ClassVar[int] = 0


@dataclass(frozen=True)
class RemovedTask:
    """One task of `tasks remove`: `removed`, `would-remove` or `missing`."""

    task: str
    status: str


@dataclass(frozen=True)
class RemoveResult:
    """Answer of `tasks remove`."""

    tasks: tuple[RemovedTask, ...]
    dry_run: bool
    exit_code: ClassVar[int] = 0


@dataclass(frozen=True)
class CopiedTask:
    """One task of `tasks copy`: `copied`, `would-copy` or `exists`.

    `content_sha256` covers the name, so it is None for a task that would be copied under another.
    """

    task: str
    status: str
    source_task: str
    bytes: int
    content_sha256: str | None
    source_sha256: str


@dataclass(frozen=True)
class CopyResult:
    """Answer of `tasks copy`."""

    tasks: tuple[CopiedTask, ...]
    source: str
    dry_run: bool
    exit_code: ClassVar[int] = 0


@dataclass(frozen=True)
class ExportedTask:
    """The task of `tasks export`: `exported`, `would-export` or `exists`.

    `form` is the kind of file: a network of its own (`safetensors` or `onnx`), or `sealed`.
    """

    task: str
    status: str
    file: str
    bytes: int
    content_sha256: str
    form: str


@dataclass(frozen=True)
class ExportResult:
    """Answer of `tasks export`."""

    tasks: tuple[ExportedTask, ...]
    dry_run: bool
    exit_code: ClassVar[int] = 0


@dataclass(frozen=True)
class CleanedTask:
    """Unfinished work of `tasks clean`.

    `removed` or `would-remove`; `none`: there was none; `held`: a learner continued with it;
    `kept`: it holds files that no learner makes.
    """

    task: str
    status: str
    bytes: int


@dataclass(frozen=True)
class CleanedFile:
    """A temporary file of `tasks clean`: `removed`, `would-remove`, or `kept` because it may be in
    use.

    `file` is its path below the bank.
    """

    file: str
    status: str


@dataclass(frozen=True)
class CleanResult:
    """Answer of `tasks clean`."""

    tasks: tuple[CleanedTask, ...]
    files: tuple[CleanedFile, ...]
    dry_run: bool
    exit_code: ClassVar[int] = 0


@dataclass(frozen=True)
class SignedTask:
    """One task of `tasks sign`; `status` is signed or exists, `bytes` those of the new file.

    `images`: how many training images the signature was made from.
    """

    task: str
    status: str
    images: int
    bytes: int


@dataclass(frozen=True)
class SignResult:
    """Answer of `tasks sign`."""

    tasks: tuple[SignedTask, ...]
    failed: tuple[FailedInput, ...]

    @property
    def exit_code(self) -> int:
        """Done, but some tasks' data could not be used."""
        return SOME_INPUTS_FAILED if self.failed else 0
