"""`infer-task`: which task does each image, or each group of images, belong to?"""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bank_format.disk.stores import Place
from supsup_cli.errors import UsageError
from supsup_cli.workflows.hopfield.recovery import Recovered, report, tell_unrecovered
from supsup_cli.workflows.inference.decisions import decide
from supsup_cli.workflows.inference.inputs import InputBatch, InputRequest, decided_together
from supsup_cli.workflows.inference.rules import (
    DecisionRequest,
    Rule,
    group_places,
    settle,
    told_of_compiling,
)
from supsup_cli.workflows.inference.shared_inputs import SharedInputs
from supsup_cli.workflows.lazy_tasks import open_lazily
from supsup_cli.workflows.left_out import LeftOut
from supsup_cli.workflows.opening import OpenTasks
from supsup_cli.workflows.ranks import ALONE, Ranks
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.inference import InferredSource, InferResult
from supsup_cli.workflows.written import check_written

_MOST_PANELS = 12


def infer_task(
    path: Place,
    inputs: InputRequest,
    decision: DecisionRequest,
    top: int,
    reporter: Reporter,
    plot: Path | None = None,
    ranks: Ranks = ALONE,
) -> InferResult:
    """Name the task of every image, or of every group of images.

    Args:
        path: the bank's folder.
        inputs: which images.
        decision: method, objective, group, device.
        top: number of best scores to report.
        reporter: gets the progress.
        plot: file for a picture of how masks were recovered; None for none.
        ranks: who shares the images.

    Raises:
        UsageError, NoInputError: options or inputs cannot be used.
        StorageError: the picture cannot be written.
        BankError: the bank or one of its tasks cannot be read.
    """
    opened = open_lazily(path, decision.device)
    return infer_open(opened, inputs, decision, top, reporter, plot, ranks)


def infer_open(
    opened: OpenTasks,
    inputs: InputRequest,
    decision: DecisionRequest,
    top: int,
    reporter: Reporter,
    plot: Path | None = None,
    ranks: Ranks = ALONE,
) -> InferResult:
    """Name the task of every image or group among the open tasks; see `infer_task`."""
    check_top(top)
    if plot is not None and decision.method != "hopfield":
        raise UsageError(f"--plot {plot} with --method {decision.method}: expected hopfield")
    if plot is not None and ranks.count > 1:
        raise UsageError(f"--plot {plot} under torchrun: expected one process")
    check_written(None, plot)
    opened, rule = settle(opened, decision, reporter)
    left_out = LeftOut(opened, reporter.note)
    began = time.perf_counter()
    shape = opened.net.bank.record.input.shape
    shared = SharedInputs(ranks, rule.group)
    batches = shared.read(inputs, shape, opened.seeds, reporter.note)
    results: list[InferredSource] = []
    recoveries: list[tuple[str, Recovered]] = []
    with told_of_compiling(reporter), reporter.track("inferring", None, "images") as advance:
        for batch in decided_together(batches, rule.group):
            part, recovered = decide_batch(opened, rule, batch, top)
            results += part
            recoveries += recovered[: _MOST_PANELS - len(recoveries)]
            tell_unrecovered(recovered, opened.names, reporter)
            left_out.tell()
            advance(len(batch.sources))
        results, _, without = shared.gathered(InferredSource, results, (), left_out.tasks)
    if plot is not None:
        from supsup_cli.workflows.plots import plot_recoveries

        panels = [(source, one.trace) for source, one in recoveries]
        plot_recoveries(panels, opened.names, recoveries[0][1].bits, plot)
    return InferResult(
        method=rule.method,
        objective=rule.objective,
        group=rule.group,
        results=tuple(results),
        seconds=time.perf_counter() - began,
        plot=None if plot is None else str(plot),
        left_out=without,
    )


def check_top(top: int) -> None:
    """Expect a number of scores to report.

    Raises:
        UsageError: less than one.
    """
    if top < 1:
        raise UsageError(f"--top {top}: expected at least 1")


def decide_batch(
    opened: OpenTasks, rule: Rule, batch: InputBatch, top: int
) -> tuple[list[InferredSource], list[tuple[str, Recovered]]]:
    """Name the task of each group of a batch, in the order of first images.

    Returns:
        an answer for each group and each broken input; recovered masks, named like the groups.
    """
    usable = batch.usable
    groups = group_places(rule.group, [batch.folders[place] for place in usable])
    answers: dict[int, InferredSource] = {
        place: InferredSource(batch.sources[place], 0, None, None, (), error)
        for place, error in enumerate(batch.errors)
        if error is not None
    }
    recoveries: list[tuple[str, Recovered]] = []
    if usable:
        decisions = decide(opened, rule, batch.images, groups, top)
        recovered = decisions.recovered or (None,) * len(groups)
        for place, (mask, members) in enumerate(zip(recovered, groups, strict=True)):
            first = usable[members[0]]
            source = _group_name(rule, batch, first)
            answers[first] = InferredSource(
                source=source,
                images=len(members),
                task=opened.names[int(decisions.best[place])],
                known=bool(decisions.known[place]),
                scores=_top(opened, decisions.scores[place], top),
                error=None,
                recovery=None if mask is None else report(mask, opened.names),
                masks_tried=int(decisions.tried[place]),
                truncated=bool(decisions.truncated[place]),
            )
            if mask is not None:
                recoveries.append((source, mask))
    return [answers[place] for place in sorted(answers)], recoveries


def _group_name(rule: Rule, batch: InputBatch, first: int) -> str:
    if rule.group == "folder":
        return batch.folders[first]
    return "all" if rule.group == "all" else batch.sources[first]


def _top(opened: OpenTasks, row: NDArray[np.float32], top: int) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-row, kind="stable")  # NaN, a task that was not compared, sorts last
    names = opened.names
    return tuple((names[i], float(row[i])) for i in order[:top] if not np.isnan(row[i]))
