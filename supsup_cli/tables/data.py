"""The answers of `data` as text."""

from collections.abc import Iterator

from supsup_cli.tables.cells import lines, table
from supsup_cli.tables.layout import Table
from supsup_cli.workflows.results.data import DataExportResult, DataListResult


@lines.register
def _(result: DataListResult) -> Iterator[str | Table]:
    rows = [
        (
            one.name,
            f"{one.meaning}; --data-root" if one.needs_root else one.meaning,
            f"{one.classes}",
            f"{one.train:,}",
            f"{one.test:,}",
        )
        for one in result.data
    ]
    yield from table(("name", "meaning", "classes", "train", "test"), rows)
    yield "ranges: mnist-perm-0..9, mnist-rot-0..350:10; or a folder of class folders"


@lines.register
def _(result: DataExportResult) -> Iterator[str | Table]:
    yield from result.files
