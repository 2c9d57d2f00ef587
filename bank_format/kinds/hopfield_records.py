"""What hopfield.safetensors says besides its tensors: the rule, and its tasks in their order."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from bank_format.names import check_digest, is_task_name

__all__ = ["RULES", "HopfieldContent", "PatternRecord", "Rule"]

Rule: TypeAlias = Literal["storkey", "hebbian"]
RULES: Final[tuple[Rule, ...]] = ("storkey", "hebbian")


@dataclass(frozen=True, slots=True)
class PatternRecord:
    """A task whose masks are stored, with the digest of what it was."""

    task: str
    content_sha256: str

    def __post_init__(self) -> None:
        if not is_task_name(self.task):
            raise ValueError(f"task name {self.task[:80]!r} found, expected one a task can have")
        check_digest(self.content_sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class HopfieldContent:
    """All that content_sha256 covers besides the tensors.

    Args:
        base_sha256: the base network the masks belong to.
        rule: how a pattern is added to the matrices.
        tasks: those that are stored, in the order of adding; at least one.
    """

    kind: Literal["hopfield"] = "hopfield"
    version: Literal[1] = 1
    base_sha256: str
    rule: Rule
    tasks: tuple[PatternRecord, ...]

    def __post_init__(self) -> None:
        check_digest(self.base_sha256)
        names = {one.task for one in self.tasks}
        if not self.tasks or len(names) != len(self.tasks):
            raise ValueError(
                f"{len(self.tasks)} tasks of {len(names)} names found, "
                "expected at least one, and distinct names"
            )
