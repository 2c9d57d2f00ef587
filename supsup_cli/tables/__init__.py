"""Results as text for people: lines, and tables where there are rows."""

from supsup_cli.tables import (
    bank,
    data,
    doctor,
    hopfield,
    inference,
    learning,
    stats,
    streams,
    tasks,
)
from supsup_cli.tables.cells import lines

__all__ = [
    "bank",
    "data",
    "doctor",
    "hopfield",
    "inference",
    "learning",
    "lines",
    "stats",
    "streams",
    "tasks",
]
