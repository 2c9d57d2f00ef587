"""Results as text for people: lines, and tables where there are rows."""

from collections.abc import Iterator, Sequence
from functools import singledispatch

from rich.table import Table
from rich.text import Text

from supsup_cli.printable import printable
from supsup_cli.workflows.results import (
    DataExportResult,
    DataListResult,
    EvaluateResult,
    FailedInput,
    InferredSource,
    InferResult,
    InitResult,
    LearnedTask,
    LearnResult,
    PredictedSource,
    PredictResult,
    Result,
    Scores,
    StatsResult,
    TasksResult,
    VerifyResult,
)
from supsup_cli.workflows.stream_results import StreamResult


@singledispatch
def lines(result: Result) -> Iterator[str | Table]:
    """Yield the lines and tables that tell a result to people."""
    raise TypeError(f"no text for {type(result).__name__}")


@lines.register
def _(result: InitResult) -> Iterator[str | Table]:
    made = "created" if result.status == "created" else "there already, equal"
    yield f"bank {result.bank}: {made}"
    yield (
        f"{result.arch}, {result.parameters:,} weights, {result.outputs} outputs, "
        f"seed {result.seed}, {_bytes(result.bytes)}, base {result.base_sha256[:16]}"
    )


@lines.register
def _(result: LearnResult) -> Iterator[str | Table]:
    yield from _learned(result.tasks)
    yield from _failures(result.failed)


@lines.register
def _(result: StreamResult) -> Iterator[str | Table]:
    yield from _learned(result.tasks)
    last = None
    for one in result.decisions:
        if one.task != last or one.new:
            task = one.task or "none, the budget is used up"
            yield f"from batch {one.batch}: {task}{' (new)' if one.new and one.task else ''}"
        last = one.task
    yield f"{result.batches} batches, rule {result.rule}, {result.seconds:.1f} s"


@lines.register
def _(result: InferResult) -> Iterator[str | Table]:
    for one in result.results:
        if one.error is not None:
            yield f"{one.source}  error: {one.error}"
            continue
        ranking = "  ".join(f"{task} {score:.2f}" for task, score in one.scores)
        yield f"{one.source}  {_recognised(one)}  [{ranking}]"
    images = sum(one.images for one in result.results)
    yield (
        f"{images} images, {result.method} {result.objective}, group {result.group}, "
        f"{result.seconds:.2f} s; scores in nats, larger is better"
    )


@lines.register
def _(result: PredictResult) -> Iterator[str | Table]:
    for one in result.results:
        if one.error is not None:
            yield f"{one.source}  error: {one.error}"
        else:
            yield f"{one.source}  {_recognised(one)}  {one.label}  {_share(one.probability)}"


@lines.register
def _(result: EvaluateResult) -> Iterator[str | Table]:
    rows = [(one.task, f"{one.images}", *_shares(one)) for one in result.tasks]
    if len(rows) > 1:
        total = sum(one.images for one in result.tasks)
        rows.append(("mean", f"{total}", *_shares(result.mean)))
    head = ("task", "images", "given", "inferred", "inferred, shared labels", "task right")
    yield from _table((*head, "false alarms"), rows)
    yield (
        f"{result.method} {result.objective}, group {result.group}, {result.seconds:.1f} s; "
        "inferred: task and class right; false alarms: called new"
    )
    yield from _failures(result.failed)


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
            _share(one.accuracy),
            f"{one.density:.3f}",
            _bytes(one.bytes),
            one.created[:19].replace("T", " "),
        )
        for one in result.tasks
    ]
    yield from _table(head, rows)


@lines.register
def _(result: StatsResult) -> Iterator[str | Table]:
    yield (
        f"{result.tasks} tasks over {result.parameters:,} weights, "
        f"{result.bits_per_weight:.3f} bits per weight and task"
    )
    sizes = result.bytes
    yield (
        f"on disk: {_bytes(sizes.total)} (base {_bytes(sizes.base)}, masks {_bytes(sizes.masks)}, "
        f"hopfield {_bytes(sizes.hopfield)})"
    )
    rivals = result.rivals
    yield (
        f"instead: float scores {_bytes(rivals.float_scores)}, a network for each task "
        f"{_bytes(rivals.networks)}; in one mask's bytes fits a dense float32 net with "
        f"{rivals.dense_hidden} hidden units"
    )
    rows = [
        (
            one.task,
            one.kind,
            _bytes(one.bytes),
            f"{one.density:.3f}",
            _share(one.accuracy),
            f"{one.overlap:.3f}",
            one.created[:19].replace("T", " "),
        )
        for one in result.per_task
    ]
    head = ("task", "kind", "size", "density", "accuracy", "overlap with mean", "created")
    yield from _table(head, rows)
    pairs = [(one, other, f"{share:.3f}") for one, other, share in result.overlaps]
    if pairs:
        yield from _table(("task", "and task", "equal bits"), pairs)
    if result.plot:
        yield f"picture: {result.plot}"


@lines.register
def _(result: VerifyResult) -> Iterator[str | Table]:
    for problem in result.problems:
        yield f"problem: {problem.file}: {problem.message}"
    for hint in result.hints:
        yield f"hint: {hint}"
    verdict = "the bank is whole" if result.ok else f"{len(result.problems)} problems"
    yield f"{result.tasks} whole tasks; {verdict}"


@lines.register
def _(result: DataListResult) -> Iterator[str | Table]:
    rows = [
        (one.name, one.meaning, f"{one.classes}", f"{one.train:,}", f"{one.test:,}")
        for one in result.data
    ]
    yield from _table(("name", "meaning", "classes", "train", "test"), rows)
    yield "ranges: mnist-perm-0..9, mnist-rot-0..350:10; or a folder of class folders"


@lines.register
def _(result: DataExportResult) -> Iterator[str | Table]:
    yield from result.files


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[Table]:
    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    for title, cells in zip(head, zip(*rows, strict=True), strict=True):
        numbers = all(cell[:1].isdigit() or cell == "-" for cell in cells)
        table.add_column(title, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        # Text, never markup: names and paths are the user's.
        table.add_row(*(Text(printable(cell)) for cell in row))
    yield table


def _learned(tasks: Sequence[LearnedTask]) -> Iterator[Table]:
    rows = [
        (
            one.task,
            one.status,
            _share(one.accuracy),
            f"{one.steps}",
            f"{one.seconds:.1f} s",
            f"{one.density:.3f}",
            _bytes(one.bytes),
            one.content_sha256[:12],
        )
        for one in tasks
    ]
    head = ("task", "status", "accuracy", "steps", "time", "density", "size", "content")
    yield from _table(head, rows)


def _failures(failed: Sequence[FailedInput]) -> Iterator[str | Table]:
    for one in failed:
        yield f"not read: {one.source}: {one.error}"


def _shares(scores: Scores) -> tuple[str, ...]:
    return (
        _share(scores.accuracy_given),
        _share(scores.accuracy_inferred),
        _share(scores.accuracy_inferred_shared),
        _share(scores.task_accuracy),
        _share(scores.false_alarms),
    )


def _recognised(one: InferredSource | PredictedSource) -> str:
    return f"{one.task}" if one.known else f"new, nearest {one.task}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def _bytes(count: int) -> str:
    if count < 10_000:
        return f"{count:,} B"
    return f"{count / 1000:,.1f} kB" if count < 10_000_000 else f"{count / 1e6:,.1f} MB"
