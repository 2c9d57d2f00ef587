"""Results as text for people: lines, and tables where there are rows."""

from supsup_cli.tables import (
    bank,
    data,
    hopfield,
    inference,
    learning,
    streams,
    tasks,
)
from supsup_cli.tables.cells import lines

__all__ = [
    "bank",
    "data",
    "hopfield",
    "inference",
    "learning",
    "lines",
    "streams",
    "tasks",
]
