"""The answers of `tasks` and its commands as text."""

from collections.abc import Iterator, Sequence

from supsup_cli.tables.cells import left_out, lines, share, size, table
from supsup_cli.tables.layout import Table
from supsup_cli.workflows.results.tasks import (
    CleanResult,
    CopyResult,
    ExportResult,
    RemoveResult,
    ShownCalibration,
    ShownTask,
    ShowResult,
    SignResult,
    TasksResult,
)


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
    yield from left_out(result.left_out)


@lines.register
def _(result: ShowResult) -> Iterator[str | Table]:
    for place, task in enumerate(result.tasks):
        if place:
            yield ""
        yield from table(("task", task.task), _facts(task))
        rows = [
            (
                one.parameter,
                " x ".join(map(str, one.shape)),
                f"{one.weights:,}",
                f"{one.ones:,}",
                f"{one.density:.4f}",
                one.coding,
                f"{one.bytes:,}",
            )
            for one in task.layers
        ]
        head = ("layer", "shape", "weights", "kept", "density", "coding", "bytes")
        yield from table(head, rows)


@lines.register
def _(result: RemoveResult) -> Iterator[str | Table]:
    yield from table(("task", "status"), [(one.task, one.status) for one in result.tasks])


@lines.register
def _(result: CopyResult) -> Iterator[str | Table]:
    rows = [
        (one.task, one.status, one.source_task, size(one.bytes), (one.content_sha256 or "-")[:12])
        for one in result.tasks
    ]
    yield from table(("task", "status", f"task of {result.source}", "size", "content"), rows)


@lines.register
def _(result: ExportResult) -> Iterator[str | Table]:
    rows = [
        (one.task, one.status, size(one.bytes), one.content_sha256[:12], one.file)
        for one in result.tasks
    ]
    yield from table(("task", "status", "size", "content", "file"), rows)


@lines.register
def _(result: CleanResult) -> Iterator[str | Table]:
    rows = [("unfinished work", one.task, one.status, size(one.bytes)) for one in result.tasks]
    rows += [("temporary file", one.file, one.status, "-") for one in result.files]
    yield from table(("what", "name", "status", "size"), rows)
    if any(one.status == "kept" for one in result.files):
        yield "kept: a command that runs may need it; clean again in some minutes"
    if not rows:
        yield "nothing to clean"


def _facts(task: ShownTask) -> Sequence[tuple[str, str]]:
    classes = ", ".join(f"{one.name} -> {one.output}" for one in task.class_names)
    settings = ", ".join(f"{key} {value}" for key, value in task.settings.items())
    versions = ", ".join(f"{key} {value}" for key, value in task.versions.items())
    parents = ", ".join(f"{one.task} ({one.content_sha256[:12]})" for one in task.parents)
    facts = [
        ("kind", task.kind),
        ("file", f"{task.file}, {task.bytes:,} bytes"),
        ("content_sha256", task.content_sha256),
        ("base_sha256", task.base_sha256),
        ("data", f"{task.data}, digest {task.data_digest}"),
        ("source", task.source or "-"),
        ("classes", f"{task.classes}: {classes}"),
        ("recipe", f"{task.recipe}: {settings}"),
        ("seed, steps", f"{task.seed}, {task.steps}"),
        ("accuracy", _accuracy(task)),
        ("calibration", _calibration(task.calibration)),
        ("parents", parents or "-"),
        ("density", f"{task.density:.4f}"),
        ("created", f"{task.created[:19].replace('T', ' ')} UTC, in {task.seconds:.1f} s"),
        ("machine", task.machine),
        ("versions", versions),
    ]
    statistics = [
        (f"statistics {name}", " x ".join(map(str, shape)))
        for name, shape in task.statistics.items()
    ]
    coefficients = [
        (f"coefficients {one.parameter}", ", ".join(f"{value:.4g}" for value in one.coefficients))
        for one in task.layers
        if one.coefficients
    ]
    return [*facts, *coefficients, *statistics]


def _accuracy(task: ShownTask) -> str:
    if task.accuracy is None:
        return "-"
    return f"{share(task.accuracy)}, {task.correct:,} of {task.images:,} test images"


def _calibration(told: ShownCalibration | None) -> str:
    if told is None:
        return "-"
    quantiles = ", ".join(
        f"{level:g}: {value:.2f}" for level, value in zip(told.levels, told.values, strict=True)
    )
    return f"{told.objective} of {told.images:,} images; {quantiles}"


@lines.register
def _(result: SignResult) -> Iterator[str | Table]:
    rows = [(one.task, one.status, f"{one.images:,}", size(one.bytes)) for one in result.tasks]
    yield from table(("task", "status", "images", "size"), rows)
    yield from (f"{one.source}: {one.error}" for one in result.failed)
