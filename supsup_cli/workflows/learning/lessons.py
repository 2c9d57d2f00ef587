"""What one task is learned from, and how."""

from dataclasses import dataclass

from supsup_cli.core.learning.recipes import Recipe
from supsup_cli.data.splits import TaskData


@dataclass(frozen=True)
class LearningJob:
    """A task to learn.

    Attributes:
        task: its name.
        data: what it is learned from.
        recipe: how.
        seed: of every random draw, together with the name.
    """

    task: str
    data: TaskData
    recipe: Recipe
    seed: int
