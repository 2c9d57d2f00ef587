"""What `init-base`, `stats`, `verify` and `doctor` answer."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from supsup_cli.workflows.results.common import WORST_FIRST, LeftOutTask, partial_code

Status = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class InitResult:
    """Answer of `init-base`; `bytes` counts bank.json and the base.

    `taken` counts the base's tensors from a file, `drawn` those from the seed; `left_over` names
    tensors of the file that were not used.
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
class StoredBytes:
    """Bytes on disk, for each kind of file."""

    base: int
    masks: int
    hopfield: int
    total: int


@dataclass(frozen=True)
class Rivals:
    """The bytes that other ways to keep as many tasks would need.

    `float_scores`: four bytes a masked weight and task. `networks`: a float32 copy of the network
    for each task. `dense_hidden`: hidden units of the float32 net with one hidden layer that takes
    no more bytes than one task file; 0 if there is none.
    """

    float_scores: int
    networks: int
    dense_hidden: int


@dataclass(frozen=True)
class TaskStats:
    """One task of `stats`; `overlap` is the mean share of all tasks that keep a weight it keeps.

    It is measured at up to 8,192 weights, spread evenly, or at all if there are fewer.
    """

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
    left_out: tuple[LeftOutTask, ...] = ()

    @property
    def exit_code(self) -> int:
        """Done, but for tasks that cannot be read."""
        return partial_code(self.left_out, failed=False)


@dataclass(frozen=True)
class FoundProblem:
    """A file of the bank and what is wrong with it.

    `exit` is the exit code that reading it gives, `invariant` names the rule of FORMAT.md that it
    breaks, `hint` the next command to type.
    """

    file: str
    message: str
    exit: int
    invariant: str
    hint: str


@dataclass(frozen=True)
class DoneRepair:
    """A step of `verify --repair`: `quarantined`, `renamed`, `regenerated` or `made`.

    `to` is where the file is afterwards, `message` what was wrong with it.
    """

    file: str
    action: str
    to: str
    message: str


@dataclass(frozen=True)
class VerifyResult:
    """Answer of `verify`; after `--repair`, `problems` holds what was not mended without loss.

    `repairs` are only planned if `dry_run` is true.
    """

    ok: bool
    problems: tuple[FoundProblem, ...]
    hints: tuple[str, ...]
    tasks: int
    repairs: tuple[DoneRepair, ...]
    dry_run: bool

    @property
    def exit_code(self) -> int:
        """Damage first, then files of another base or a newer format, then what I/O refused."""
        codes = {problem.exit for problem in self.problems}
        return next((code for code in WORST_FIRST if code in codes), 0)


@dataclass(frozen=True)
class Check:
    """One thing that was tried.

    Attributes:
        check: what was tried.
        status: `warning` means that it works with limits, `failed` that it does not.
        found: what was seen, one line.
        hint: what to do about it, or empty.
        exit: the exit code that a failure gives; 0 where it did not fail.
    """

    check: str
    status: Status
    found: str
    hint: str = ""
    exit: int = 0


@dataclass(frozen=True)
class DoctorResult:
    """Answer of `doctor`; `ok` if nothing failed."""

    ok: bool
    checks: tuple[Check, ...] = field(default=())

    @property
    def exit_code(self) -> int:
        """Damage first, then another base or a newer format, then a file system that is unfit."""
        codes = {one.exit for one in self.checks}
        return next((code for code in WORST_FIRST if code in codes), max(codes, default=0))
