"""The answers of `stats` as text."""

from collections.abc import Iterator

from supsup_cli.tables.cells import lines, share, size, table
from supsup_cli.tables.layout import Table
from supsup_cli.workflows.results.stats import StatsResult


@lines.register
def _(result: StatsResult) -> Iterator[str | Table]:
    yield (
        f"{result.tasks} tasks over {result.parameters:,} weights, "
        f"{result.bits_per_weight:.3f} bits per weight and task"
    )
    sizes = result.bytes
    yield (
        f"on disk: {size(sizes.total)} (base {size(sizes.base)}, masks {size(sizes.masks)}, "
        f"hopfield {size(sizes.hopfield)})"
    )
    rivals = result.rivals
    yield (
        f"instead: float scores {size(rivals.float_scores)}, a network for each task "
        f"{size(rivals.networks)}; in one mask's bytes fits a dense float32 net with "
        f"{rivals.dense_hidden} hidden units"
    )
    rows = [
        (
            one.task,
            one.kind,
            size(one.bytes),
            f"{one.density:.3f}",
            share(one.accuracy),
            f"{one.overlap:.3f}",
            one.created[:19].replace("T", " "),
        )
        for one in result.per_task
    ]
    head = ("task", "kind", "size", "density", "accuracy", "overlap with mean", "created")
    yield from table(head, rows)
    pairs = [(one, other, f"{share:.3f}") for one, other, share in result.overlaps]
    if pairs:
        yield from table(("task", "and task", "equal bits"), pairs)
    if result.plot:
        yield f"picture: {result.plot}"
