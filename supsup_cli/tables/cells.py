"""Cells, tables and lines that several commands use in their text."""

from collections.abc import Iterator, Sequence
from functools import singledispatch

from supsup_cli.tables.layout import Table
from supsup_cli.workflows.results.common import FailedInput, LeftOutTask, Result


@singledispatch
def lines(result: Result) -> Iterator[str | Table]:
    """Yield the lines and tables that show a result to people."""
    raise TypeError(f"no text for {type(result).__name__}")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[Table]:
    """Make a table of rows under a head; no table if there are no rows."""
    if rows:
        yield Table(tuple(head), tuple(map(tuple, rows)))


def failures(failed: Sequence[FailedInput]) -> Iterator[str | Table]:
    """List the inputs that could not be read."""
    for one in failed:
        yield f"not read: {one.source}: {one.error}"


def left_out(tasks: Sequence[LeftOutTask]) -> Iterator[str | Table]:
    """Yield the tasks that had to be left out."""
    for one in tasks:
        yield f"left out: {one.task}: {one.message}"


def share(value: float | None) -> str:
    """Format a share from 0 to 1 as a percentage; a dash if there is none."""
    return "-" if value is None else f"{100 * value:.2f} %"


def size(count: int) -> str:
    """Format a number of bytes in bytes, kB or MB."""
    if count < 10_000:
        return f"{count:,} B"
    return f"{count / 1000:,.1f} kB" if count < 10_000_000 else f"{count / 1e6:,.1f} MB"
