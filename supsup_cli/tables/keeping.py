"""The answers of `tasks` and `verify` as text."""

from collections.abc import Iterator

from rich.table import Table

from supsup_cli.tables.cells import lines, share, size, table
from supsup_cli.workflows.results.keeping import TasksResult, VerifyResult


@lines.register
def _(result: TasksResult) -> Iterator[str | Table]:
    head = ("task", "kind", "data", "classes", "recipe", "accuracy", "density", "size", "created")
    rows = [
        (
            one.task,
            one.kind,
            one.data,
            f"{one.classes}",
            f"{one.recipe}, {one.steps} steps",
            share(one.accuracy),
            f"{one.density:.3f}",
            size(one.bytes),
            one.created[:19].replace("T", " "),
        )
        for one in result.tasks
    ]
    yield from table(head, rows)


@lines.register
def _(result: VerifyResult) -> Iterator[str | Table]:
    for problem in result.problems:
        yield f"problem: {problem.file}: {problem.message}"
    for hint in result.hints:
        yield f"hint: {hint}"
    verdict = "the bank is whole" if result.ok else f"{len(result.problems)} problems"
    yield f"{result.tasks} whole tasks; {verdict}"
