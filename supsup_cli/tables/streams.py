"""The answer of `learn-stream` as text."""

from collections.abc import Iterator

from supsup_cli.tables.cells import failures, lines
from supsup_cli.tables.layout import Table
from supsup_cli.tables.learning import learned
from supsup_cli.workflows.results.streams import StreamResult


@lines.register
def _(result: StreamResult) -> Iterator[str | Table]:
    yield from learned(result.tasks)
    last = None
    for one in result.decisions:
        if one.task != last or one.new:
            task = one.task or "none, the budget is used up"
            yield f"from batch {one.batch}: {task}{' (new)' if one.new and one.task else ''}"
        last = one.task
    yield f"{result.batches} batches, rule {result.rule}, {result.seconds:.1f} s"
    yield from failures(result.failed)
