"""Results as text for people: lines, and tables where there are rows."""

from supsup_cli.tables import bank as keeping
from supsup_cli.tables import compare, data, doctor, hopfield, learning, stats, streams, tasks
from supsup_cli.tables import inference as asking
from supsup_cli.tables.cells import lines

__all__ = [
    "asking",
    "compare",
    "data",
    "doctor",
    "hopfield",
    "keeping",
    "learning",
    "lines",
    "stats",
    "streams",
    "tasks",
]
