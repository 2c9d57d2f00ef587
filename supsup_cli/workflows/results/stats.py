"""What `stats` answers."""

from dataclasses import dataclass
from typing import ClassVar


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
