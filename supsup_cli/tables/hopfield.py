"""The answer of `encode-hopfield` as text."""

from collections.abc import Iterator, Sequence

from supsup_cli.tables.cells import failures, lines, size, table
from supsup_cli.tables.layout import Table
from supsup_cli.workflows.results.hopfield import EncodeResult, RecalledTask


@lines.register
def _(result: EncodeResult) -> Iterator[str | Table]:
    yield (
        f"{result.status}: {result.patterns} masks of {result.units:,} units by the rule "
        f"{result.rule}, {result.added} of them added now, {result.seconds:.2f} s"
    )
    layers = [
        (one.parameter, f"{one.units}", f"{one.load:.4f}", f"{one.capacity}")
        for one in result.layers
    ]
    yield from table(("matrix", "units", "masks / units", "capacity, masks"), layers)
    yield (
        f"on disk: {size(result.bytes)}, whatever they hold but for its names; as packed bits "
        f"these {result.patterns} take {size(result.mask_bytes)}, which would be more from "
        f"{result.pays_from:,} masks on, beyond any capacity"
    )
    yield from _recall(result.recall)
    yield from failures(result.failed)


def _recall(recall: Sequence[RecalledTask]) -> Iterator[Table]:
    shares = [one.flipped for one in recall[0].corrupted]
    data = any(one.from_data for one in recall)
    head = ["task", "stays, bits off", *(f"{100 * one:.0f} % flipped, bits off" for one in shares)]
    rows = []
    for one in recall:
        row = [one.task, f"{one.distance}", *(f"{copy.distance}" for copy in one.corrupted)]
        found = one.from_data
        if found is not None:
            row += [f"{found.images}", found.task, f"{found.distance}", f"{found.steps}"]
        elif data:
            row += ["-"] * 4
        rows.append(row)
    if data:
        head += ["images", "recovered", "bits off", "steps"]
    yield from table(head, rows)
