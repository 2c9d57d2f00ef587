"""`predict`: the class of each image, under a given task or the inferred one."""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from supsup_cli.workflows.hopfield.recovery import Recovered, report, tell_unrecovered
from supsup_cli.workflows.inference.deciding import (
    DecisionRequest,
    Rule,
    choose_rule,
    classify,
    group_places,
    told_of_compiling,
)
from supsup_cli.workflows.inference.decisions import classify_decided, decide
from supsup_cli.workflows.inference.inputs import InputBatch, InputRequest, joined, read_inputs
from supsup_cli.workflows.opening import OpenTasks, open_tasks
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.hopfield import RecoveryReport
from supsup_cli.workflows.results.inference import PredictedSource, PredictResult


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
    return predict_open(opened, inputs, decision, task, reporter)


def predict_open(
    opened: OpenTasks,
    inputs: InputRequest,
    decision: DecisionRequest,
    task: str | None,
    reporter: Reporter,
) -> PredictResult:
    """Classify every image under tasks that are open already; see `predict`.

    If `task` is given, it is the only one that is open.
    """
    # Attractors are of no use where the task is given.
    by_mask = task is not None and decision.method == "hopfield"
    asked = None if by_mask else choose_rule(opened, decision, reporter)
    rule = asked if task is None else None
    began = time.perf_counter()
    batches = read_inputs(inputs, opened.net.bank.record.input.shape, opened.seeds)
    results: list[PredictedSource] = []
    recoveries: list[RecoveryReport] = []
    with told_of_compiling(reporter), reporter.track("predicting", None, "images") as advance:
        for batch in batches if rule is None or rule.single else iter([joined(batches)]):
            if rule is None or not batch.usable:
                chosen = np.zeros(len(batch.usable), dtype=np.int64)
                classes = classify(opened, batch.images, chosen)
                results += _answers(opened, batch, chosen, np.ones(len(chosen), np.bool_), classes)
            else:
                part, recovered = _infer(opened, rule, batch)
                results += part
                tell_unrecovered(recovered, opened.names, reporter)
                recoveries += [report(one, opened.names) for _, one in recovered]
            advance(len(batch.sources))
    return PredictResult(
        results=tuple(results),
        method=rule.method if rule else None,
        objective=rule.objective if rule else None,
        group=rule.group if rule else None,
        seconds=time.perf_counter() - began,
        recoveries=tuple(recoveries),
    )


def _infer(
    opened: OpenTasks, rule: Rule, batch: InputBatch
) -> tuple[list[PredictedSource], list[tuple[str, Recovered]]]:
    """Answer for a batch by inferred tasks; name recovered masks by their groups' first images."""
    usable = batch.usable
    groups = group_places(rule.group, [batch.folders[place] for place in usable])
    decisions = decide(opened, rule, batch.images, groups)
    chosen = np.zeros(len(usable), dtype=np.int64)
    known = np.ones(len(usable), dtype=np.bool_)
    for members, index, whether in zip(groups, decisions.best, decisions.known, strict=True):
        chosen[members] = index
        known[members] = whether
    classes = classify_decided(opened, batch.images, groups, decisions)
    sources = [batch.sources[usable[members[0]]] for members in groups]
    recovered = list(zip(sources, decisions.recovered, strict=True)) if decisions.recovered else []
    return _answers(opened, batch, chosen, known, classes), recovered


def _answers(
    opened: OpenTasks,
    batch: InputBatch,
    chosen: NDArray[np.int64],
    known: NDArray[np.bool_],
    classes: tuple[NDArray[np.int64], NDArray[np.float64]],
) -> list[PredictedSource]:
    labels, probabilities = classes
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
