"""Results as text for people: lines, and tables where there are rows."""

from supsup_cli.tables import (
    asking,
    data,
    doctor,
    hopfield,
    keeping,
    learning,
    stats,
    streams,
    tasks,
)
from supsup_cli.tables.cells import lines
from supsup_cli.tables.layout import laid_out

__all__ = [
    "asking",
    "data",
    "doctor",
    "hopfield",
    "keeping",
    "laid_out",
    "learning",
    "lines",
    "stats",
    "streams",
    "tasks",
]
