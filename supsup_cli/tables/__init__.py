"""Results as text for people: lines, and tables where there are rows."""

from supsup_cli.tables import asking, data, keeping, learning, stats
from supsup_cli.tables.cells import lines

__all__ = ["asking", "data", "keeping", "learning", "lines", "stats"]
