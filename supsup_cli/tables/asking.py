"""The answers of `infer-task`, `predict` and `evaluate` as text."""

from collections.abc import Iterator

from rich.table import Table

from supsup_cli.tables.cells import failures, lines, share, table
from supsup_cli.workflows.results.asking import EvaluateResult, InferResult, PredictResult, Scores


@lines.register
def _(result: InferResult) -> Iterator[str | Table]:
    for one in result.results:
        if one.error is not None:
            yield f"{one.source}  error: {one.error}"
            continue
        ranking = "  ".join(f"{task} {score:.2f}" for task, score in one.scores)
        yield f"{one.source}  {one.task}  [{ranking}]"
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
            yield f"{one.source}  {one.task}  {one.label}  {share(one.probability)}"


@lines.register
def _(result: EvaluateResult) -> Iterator[str | Table]:
    rows = [(one.task, f"{one.images}", *_shares(one)) for one in result.tasks]
    if len(rows) > 1:
        total = sum(one.images for one in result.tasks)
        rows.append(("mean", f"{total}", *_shares(result.mean)))
    head = ("task", "images", "given", "inferred", "inferred, shared labels", "task right")
    yield from table(head, rows)
    yield (
        f"{result.method} {result.objective}, group {result.group}, {result.seconds:.1f} s; "
        "inferred: task and class right"
    )
    yield from failures(result.failed)


def _shares(scores: Scores) -> tuple[str, ...]:
    return (
        share(scores.accuracy_given),
        share(scores.accuracy_inferred),
        share(scores.accuracy_inferred_shared),
        share(scores.task_accuracy),
    )
