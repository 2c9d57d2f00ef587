"""The answers of `infer-task`, `predict` and `evaluate` as text."""

from collections import Counter
from collections.abc import Iterator

from supsup_cli.tables.cells import failures, left_out, lines, share, table
from supsup_cli.tables.layout import Table
from supsup_cli.workflows.results.hopfield import RecoveryReport
from supsup_cli.workflows.results.inference import (
    EvaluateResult,
    InferredSource,
    InferResult,
    NamedTask,
    PredictedSource,
    PredictResult,
    Scores,
)

_MOST_CONFUSIONS = 5
_SORTED = {
    "copied": "copied",
    "linked": "linked",
    "exists": "there already",
    "failed": "not sorted",
}


@lines.register
def _(result: InferResult) -> Iterator[str | Table]:
    for one in result.results:
        if one.error is not None:
            yield f"{one.source}  error: {one.error}"
            continue
        ranking = "  ".join(
            f"{task} {abs(score):.0f}" if one.recovery else f"{task} {score:.2f}"
            for task, score in one.scores
        )
        recovered = f"  {_recovery(one.recovery)}" if one.recovery else ""
        yield f"{one.source}  {_recognised(one)}  [{ranking}]{recovered}"
    images = sum(one.images for one in result.results)
    yield (
        f"{images} images, {result.method} {result.objective}, group {result.group}, "
        f"{result.seconds:.2f} s; {_meaning(result)}"
    )
    if result.plot:
        yield f"picture: {result.plot}"
    yield from left_out(result.left_out)


@lines.register
def _(result: PredictResult) -> Iterator[str | Table]:
    for one in result.results:
        if one.error is not None:
            yield f"{one.source}  error: {one.error}"
        else:
            yield f"{one.source}  {_recognised(one)}  {one.label}  {share(one.probability)}"
    for recovery in result.recoveries:
        yield f"{recovery.task}: {_recovery(recovery)}"
    for page in result.sheets:
        yield f"written: {page}"
    if result.sorted_images:
        counts = Counter(one.status for one in result.sorted_images)
        told = [f"{count} {_SORTED[status]}" for status, count in counts.items()]
        yield f"sorted: {', '.join(told)}"
    for placed in result.sorted_images:
        if placed.error is not None:
            yield f"not sorted: {placed.error}"
    yield from left_out(result.left_out)


@lines.register
def _(result: EvaluateResult) -> Iterator[str | Table]:
    rows = [(one.task, f"{one.images}", *_shares(one)) for one in result.tasks]
    if len(rows) > 1:
        total = sum(one.images for one in result.tasks)
        rows.append(("mean", f"{total}", *_shares(result.mean)))
    shares = ("given", "inferred", "inferred, shared labels", "task right", "false alarms")
    head = ("task", "images", *shares)
    yield from table(head, rows)
    sizes = [(f"{one.group}", *_shares(one)) for one in result.by_group]
    yield from table(("group of", *shares), sizes)
    wrong = sorted((one for one in result.confusion if one.task != one.named), key=_by_images)
    yield from table(
        ("task", "taken for", "images"),
        [(one.task, one.named, f"{one.images}") for one in wrong[:_MOST_CONFUSIONS]],
    )
    if result.recoveries:
        right = [one for one in result.recoveries if one.right and one.recovered]
        exact = sum(one.exact for one in right)
        most = max(one.steps for one in result.recoveries)
        yield (
            f"masks recovered: {len(right)} of {len(result.recoveries)} are the right one within "
            f"1 % of its bits, {exact} of them exactly, in at most {most} steps"
        )
    yield (
        f"{result.method} {result.objective}, group {result.group}, {result.seconds:.1f} s; "
        "inferred: task and class right; false alarms: called new"
    )
    for file in (result.csv, result.plot):
        if file:
            yield f"written: {file}"
    yield from failures(result.failed)
    yield from left_out(result.left_out)


def _by_images(one: NamedTask) -> int:
    return -one.images


def _shares(scores: Scores) -> tuple[str, ...]:
    return (
        share(scores.accuracy_given),
        share(scores.accuracy_inferred),
        share(scores.accuracy_inferred_shared),
        share(scores.task_accuracy),
        share(scores.false_alarms),
    )


def _recognised(one: InferredSource | PredictedSource) -> str:
    return f"{one.task}" if one.known else f"new, nearest {one.task}"


def _recovery(one: RecoveryReport) -> str:
    rest = "" if one.converged else ", not at rest"
    return f"recovered from {one.images} images in {one.steps} steps, {one.distance} bits off{rest}"


def _meaning(result: InferResult) -> str:
    if result.method == "hopfield":
        return "bits between the recovered mask and each task's, smaller is better"
    return "scores in nats, larger is better"
