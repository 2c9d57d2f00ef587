"""The answers of `verify` as text."""

from collections.abc import Iterator

from rich.table import Table

from supsup_cli.tables.cells import lines
from supsup_cli.workflows.results.bank import VerifyResult


@lines.register
def _(result: VerifyResult) -> Iterator[str | Table]:
    for problem in result.problems:
        yield f"problem: {problem.file}: {problem.message} ({problem.invariant})"
    for one in result.repairs:
        place = "" if one.to == one.file else f" to {one.to}"
        yield f"{'would be ' if result.dry_run else ''}{one.action}: {one.file}{place}"
    for hint in dict.fromkeys((*(one.hint for one in result.problems), *result.hints)):
        yield f"hint: {hint}"
    count = len(result.problems)
    verdict = "the bank is whole" if result.ok else f"problems: {count}"
    yield f"{result.tasks} whole tasks; {verdict}"
