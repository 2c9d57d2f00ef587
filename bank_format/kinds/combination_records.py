"""The content of a combination's file: a task made from the masks of others, its parents."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bank_format.encoding.strict_json import OMITTED
from bank_format.kinds.task_arrays import ArrayRecord
from bank_format.kinds.task_records import (
    TaskFacts,
    check_arrays,
    check_statistics,
    check_version,
    needed_version,
)
from bank_format.names import check_digest

__all__ = ["MOST_PARENTS", "CombinationContent"]

MOST_PARENTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class CombinationContent(TaskFacts):
    """Everything that content_sha256 covers besides the tensors; `parents` are combined.

    Args:
        base_sha256: the base network the parents' masks belong to.
        statistics: names of the float32 tensors kept with the task, sorted.
        arrays: what else belongs to it, by name.
        version: 2 with arrays, else 1.
    """

    kind: Literal["combination"] = "combination"
    version: Literal[1, 2] = 1
    base_sha256: str
    statistics: tuple[str, ...] = ()
    arrays: Mapping[str, ArrayRecord] = field(default_factory=dict, metadata=OMITTED)

    def __post_init__(self) -> None:
        # A slotted dataclass is a copy of its class, so the short form of super() does not work.
        TaskFacts.__post_init__(self)
        check_arrays(self.arrays, self.signature)
        check_version(self.version, needed_version({}, self.arrays))
        check_digest(self.base_sha256)
        check_statistics(self.statistics)
        names = {parent.task for parent in self.parents}
        if not 1 <= len(self.parents) <= MOST_PARENTS or len(names) != len(self.parents):
            raise ValueError(
                f"{len(self.parents)} parents of {len(names)} names found, "
                f"expected 1 to {MOST_PARENTS} distinct ones"
            )
        if self.task in names:
            raise ValueError(f"task {self.task!r} found among its own parents")
