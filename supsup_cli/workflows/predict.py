"""`predict`: the class of each image, under a given task or the inferred one."""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from supsup_cli.workflows.deciding import (
    DecisionRequest,
    best_tasks,
    choose_rule,
    classify,
    group_places,
    score_groups,
)
from supsup_cli.workflows.inputs import InputBatch, InputRequest, joined, read_inputs
from supsup_cli.workflows.opening import OpenTasks, open_tasks
from supsup_cli.workflows.recognising import recognise
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.asking import PredictedSource, PredictResult


def predict(
    path: Path,
    inputs: InputRequest,
    decision: DecisionRequest,
    task: str | None,
    reporter: Reporter,
) -> PredictResult:
    """Classify every image: under `task` if given (GG), else under its inferred task (GNs, GNu).

    With `task` given, nobody asks whether it knows the images, and `known` is true.

    Raises:
        UsageError, NoInputError: options or inputs that cannot be used.
        BankError: the bank or one of its tasks cannot be read, or there is no such task.
    """
    opened = open_tasks(path, decision.device, None if task is None else [task])
    asked = choose_rule(opened, decision)
    rule = asked if task is None else None
    began = time.perf_counter()
    batches = read_inputs(inputs, opened.net.bank.record.input.shape, opened.seeds)
    results: list[PredictedSource] = []
    with reporter.track("predicting", None, "images") as advance:
        for batch in batches if rule is None or rule.single else iter([joined(batches)]):
            usable = batch.usable
            chosen = np.zeros(len(usable), dtype=np.int64)
            known = np.ones(len(usable), dtype=np.bool_)
            if rule is not None and usable:
                groups = group_places(rule.group, [batch.folders[place] for place in usable])
                best = best_tasks(score_groups(opened, rule, batch.images, groups))
                knows = recognise(opened, batch.images, groups, best)
                for members, index, whether in zip(groups, best, knows, strict=True):
                    chosen[members] = index
                    known[members] = whether
            results += _answers(opened, batch, chosen, known)
            advance(len(batch.sources))
    return PredictResult(
        results=tuple(results),
        method=rule.method if rule else None,
        objective=rule.objective if rule else None,
        group=rule.group if rule else None,
        seconds=time.perf_counter() - began,
    )


def _answers(
    opened: OpenTasks,
    batch: InputBatch,
    chosen: NDArray[np.int64],
    known: NDArray[np.bool_],
) -> list[PredictedSource]:
    labels, probabilities = classify(opened, batch.images, chosen)
    answers = [
        PredictedSource(source, None, None, None, None, error)
        for source, error in zip(batch.sources, batch.errors, strict=True)
    ]
    for image, place in enumerate(batch.usable):
        content = opened.tasks[int(chosen[image])].content
        answers[place] = PredictedSource(
            source=batch.sources[place],
            task=content.task,
            known=bool(known[image]),
            label=content.classes[int(labels[image])].name,
            probability=float(probabilities[image]),
            error=None,
        )
    return answers
