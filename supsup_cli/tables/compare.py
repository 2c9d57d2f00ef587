"""The answer of `compare` as text."""

from collections.abc import Iterator

from supsup_cli.tables.cells import failures, lines, share, size, table
from supsup_cli.tables.layout import Table
from supsup_cli.workflows.results.compare import ComparedMethod, CompareResult


@lines.register
def _(result: CompareResult) -> Iterator[str | Table]:
    head = ("method", "scenario", "accuracy", "over time", "forgetting")
    transfers = ("backward", "forward", "bytes", "seconds", "rates")
    rows = [_cells(one) for one in sorted(result.methods, key=lambda one: -one.accuracy)]
    yield from table((*head, *transfers), rows)
    chosen = f"chosen among {len(result.grid)}" if result.grid else "of the papers"
    yield (
        f"{len(result.tasks)} tasks, {result.arch}, {result.steps} steps of {result.batch_size}; "
        f"{sum(result.images):,} test images; rates {chosen}; {result.seconds:.0f} s in all"
    )
    yield (
        "GG: task given; GNu: task and class inferred; GNs: class, of labels that tasks share; "
        "accuracy: after the last task; forgetting: best before − last"
    )
    edges = [one.method for one in result.methods if one.rates.at_edge]
    if edges:
        yield f"rate at the edge of the grid: {', '.join(dict.fromkeys(edges))}"
    if result.not_installed:
        names = ", ".join(one.method for one in result.not_installed)
        yield f"not installed: {names}; {result.not_installed[0].hint}"
    for file in (result.keep, result.csv, result.plot):
        if file:
            yield f"written: {file}"
    yield from failures(result.failed)


def _cells(one: ComparedMethod) -> tuple[str, ...]:
    spread = "" if one.spread is None else f" ± {100 * one.spread:.2f}"
    first, later = one.rates.first, one.rates.later
    return (
        one.method,
        one.scenario,
        share(one.accuracy) + spread,
        share(one.accuracy_over_time),
        share(one.forgetting),
        share(one.backward_transfer),
        share(one.forward_transfer),
        size(one.bytes),
        f"{one.seconds:.1f}",
        f"{first:g}" if first == later else f"{first:g}, {later:g}",
    )
