"""`infer-task`: which task does each image, or each group of images, belong to?"""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from supsup_cli.errors import UsageError
from supsup_cli.workflows.deciding import (
    DecisionRequest,
    Rule,
    best_tasks,
    choose_rule,
    group_places,
    score_groups,
)
from supsup_cli.workflows.inputs import InputBatch, InputRequest, joined, read_inputs
from supsup_cli.workflows.opening import OpenTasks, open_tasks
from supsup_cli.workflows.recognising import recognise
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.asking import InferredSource, InferResult


def infer_task(
    path: Path, inputs: InputRequest, decision: DecisionRequest, top: int, reporter: Reporter
) -> InferResult:
    """Name the task of every image, or of every group of images.

    Raises:
        UsageError, NoInputError: options or inputs that cannot be used.
        BankError: the bank or one of its tasks cannot be read.
    """
    if top < 1:
        raise UsageError(f"--top {top}: expected at least 1")
    opened = open_tasks(path, decision.device)
    rule = choose_rule(opened, decision)
    began = time.perf_counter()
    batches = read_inputs(inputs, opened.net.bank.record.input.shape, opened.seeds)
    results: list[InferredSource] = []
    with reporter.track("inferring", None, "images") as advance:
        for batch in batches if rule.single else iter([joined(batches)]):
            results += _decide(opened, rule, batch, top)
            advance(len(batch.sources))
    return InferResult(
        rule.method, rule.objective, rule.group, tuple(results), time.perf_counter() - began
    )


def _decide(opened: OpenTasks, rule: Rule, batch: InputBatch, top: int) -> list[InferredSource]:
    usable = batch.usable
    groups = group_places(rule.group, [batch.folders[place] for place in usable])
    answers: dict[int, InferredSource] = {
        place: InferredSource(batch.sources[place], 0, None, None, (), error)
        for place, error in enumerate(batch.errors)
        if error is not None
    }
    if usable:
        scores = score_groups(opened, rule, batch.images, groups)
        best = best_tasks(scores)
        known = recognise(opened, batch.images, groups, best)
        for row, winner, knows, members in zip(scores, best, known, groups, strict=True):
            first = usable[members[0]]
            answers[first] = InferredSource(
                source=_group_name(rule, batch, first),
                images=len(members),
                task=opened.names[winner],
                known=bool(knows),
                scores=_top(opened, row, top),
                error=None,
            )
    return [answers[place] for place in sorted(answers)]


def _group_name(rule: Rule, batch: InputBatch, first: int) -> str:
    if rule.group == "folder":
        return batch.folders[first]
    return "all" if rule.group == "all" else batch.sources[first]


def _top(opened: OpenTasks, row: NDArray[np.float32], top: int) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-row, kind="stable")  # NaN, a task that was not compared, sorts last
    names = opened.names
    return tuple((names[i], float(row[i])) for i in order[:top] if not np.isnan(row[i]))
