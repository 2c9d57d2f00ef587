"""The answer of `doctor` as text."""

from collections.abc import Iterator

from supsup_cli.tables.cells import lines, table
from supsup_cli.tables.layout import Table
from supsup_cli.workflows.results.doctor import DoctorResult


@lines.register
def _(result: DoctorResult) -> Iterator[str | Table]:
    rows = [(one.check, one.status, one.found) for one in result.checks]
    yield from table(("check", "status", "found"), rows)
    for one in result.checks:
        if one.hint:
            yield f"hint: {one.check}: {one.hint}"
    failed = sum(one.status == "failed" for one in result.checks)
    yield "everything a bank needs is there" if result.ok else f"{failed} checks failed"
