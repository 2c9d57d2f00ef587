"""Results as text for people: lines, and tables where there are rows."""

from supsup_cli.tables import (
    bank,
    compare,
    data,
    hopfield,
    inference,
    learning,
    streams,
    tasks,
)
from supsup_cli.tables.cells import lines
from supsup_cli.tables.layout import laid_out

__all__ = [
    "bank",
    "compare",
    "data",
    "hopfield",
    "inference",
    "laid_out",
    "learning",
    "lines",
    "streams",
    "tasks",
]
