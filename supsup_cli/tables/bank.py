"""The answers of `init-base`, `stats`, `verify` and `doctor` as text."""

from collections.abc import Iterator

from supsup_cli.tables.cells import left_out, lines, share, size, table
from supsup_cli.tables.layout import Table
from supsup_cli.workflows.results.bank import DoctorResult, InitResult, StatsResult, VerifyResult


@lines.register
def _(result: InitResult) -> Iterator[str | Table]:
    made = "created" if result.status == "created" else "there already, equal"
    yield f"bank {result.bank}: {made}"
    yield (
        f"{result.arch}, {result.parameters:,} weights, {result.outputs} outputs, "
        f"seed {result.seed}, {size(result.bytes)}, base {result.base_sha256[:16]}"
    )


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
    yield from left_out(result.left_out)


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


@lines.register
def _(result: DoctorResult) -> Iterator[str | Table]:
    rows = [(one.check, one.status, one.found) for one in result.checks]
    yield from table(("check", "status", "found"), rows)
    for one in result.checks:
        if one.hint:
            yield f"hint: {one.check}: {one.hint}"
    failed = sum(one.status == "failed" for one in result.checks)
    yield "everything a bank needs is there" if result.ok else f"{failed} checks failed"
