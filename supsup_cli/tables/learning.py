"""The answer of `learn-task` as text."""

from collections.abc import Iterator, Sequence

from supsup_cli.tables.cells import failures, lines, share, size, table
from supsup_cli.tables.layout import Table
from supsup_cli.workflows.results.learning import LearnedTask, LearnResult


@lines.register
def _(result: LearnResult) -> Iterator[str | Table]:
    yield from learned(result.tasks)
    yield from failures(result.failed)


def learned(tasks: Sequence[LearnedTask]) -> Iterator[Table]:
    """Lay out the tasks that a command learned, or found."""
    rows = [
        (
            one.task,
            one.status,
            share(one.accuracy),
            f"{one.steps}",
            f"{one.seconds:.1f} s",
            f"{one.density:.3f}",
            size(one.bytes),
            one.content_sha256[:12],
        )
        for one in tasks
    ]
    head = ("task", "status", "accuracy", "steps", "time", "density", "size", "content")
    yield from table(head, rows)
