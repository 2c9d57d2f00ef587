"""`predict`: classify each image, under a given task or the inferred one."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bank_format.disk.stores import Place
from supsup_cli.workflows.hopfield.recovery import Recovered, report, tell_unrecovered
from supsup_cli.workflows.inference.decisions import decide
from supsup_cli.workflows.inference.inputs import InputBatch, InputRequest, decided_together
from supsup_cli.workflows.inference.masks_run import run
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
from supsup_cli.workflows.opening import OpenTasks, open_tasks
from supsup_cli.workflows.ranks import ALONE, Ranks
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.hopfield import RecoveryReport
from supsup_cli.workflows.results.inference import PredictedSource, PredictResult


def predict(
    path: Place,
    inputs: InputRequest,
    decision: DecisionRequest,
    task: str | None,
    reporter: Reporter,
    ranks: Ranks = ALONE,
) -> PredictResult:
    """Classify every image: under `task` if given (GG), else under its inferred task (GNs, GNu).

    With `task` given, images are not checked against it, and `known` is always true.

    Raises:
        UsageError, NoInputError: options or inputs cannot be used.
        BankError: the bank or one of its tasks cannot be read, or there is no such task.
    """
    if task is None:
        opened: OpenTasks = open_lazily(path, decision.device)
    else:
        opened = open_tasks(path, decision.device, [task])
    return predict_open(opened, inputs, decision, task, reporter, ranks)


def predict_open(
    opened: OpenTasks,
    inputs: InputRequest,
    decision: DecisionRequest,
    task: str | None,
    reporter: Reporter,
    ranks: Ranks = ALONE,
) -> PredictResult:
    """Classify every image under open tasks; see `predict`.

    If `task` is given, it is the only open task.
    """
    # Neither attractors nor signatures are needed if the task is given.
    by_mask = task is not None and decision.method in ("hopfield", "signature")
    asked = None
    if not by_mask:
        opened, asked = settle(opened, decision, reporter)
    rule = asked if task is None else None
    left_out = LeftOut(opened, reporter.note)
    began = time.perf_counter()
    shape = opened.net.bank.record.input.shape
    shared = SharedInputs(ranks, rule.group if rule else "image")
    batches = shared.read(inputs, shape, opened.seeds, reporter.note)
    results: list[PredictedSource] = []
    recoveries: list[RecoveryReport] = []
    with told_of_compiling(reporter), reporter.track("predicting", None, "images") as advance:
        for batch in decided_together(batches, rule.group if rule else "image"):
            part, recovered = answer_batch(opened, rule, batch)
            results += part
            tell_unrecovered(recovered, opened.names, reporter)
            recoveries += [report(one, opened.names) for _, one in recovered]
            left_out.tell()
            advance(len(batch.sources))
        results, recoveries, without = shared.gathered(
            PredictedSource, results, recoveries, left_out.tasks
        )
    return PredictResult(
        results=tuple(results),
        method=rule.method if rule else None,
        objective=rule.objective if rule else None,
        group=rule.group if rule else None,
        seconds=time.perf_counter() - began,
        recoveries=tuple(recoveries),
        left_out=without,
    )


def answer_batch(
    opened: OpenTasks, rule: Rule | None, batch: InputBatch
) -> tuple[list[PredictedSource], list[tuple[str, Recovered]]]:
    """Answer a batch of inputs, in order.

    Args:
        opened: the tasks.
        rule: how the task is inferred; None if it is given, and is the only open task.
        batch: the inputs.

    Returns:
        an answer for each input; recovered masks, named after their groups' first images.
    """
    usable = batch.usable
    if not usable:  # no task is asked, and so none that is damaged stops this
        return _failed(batch), []
    if rule is None:
        return _given(opened, batch), []
    groups = group_places(rule.group, [batch.folders[place] for place in usable])
    decisions = decide(opened, rule, batch.images, groups)
    chosen = np.zeros(len(usable), dtype=np.int64)
    known = np.ones(len(usable), dtype=np.bool_)
    tried = np.zeros(len(usable), dtype=np.int64)
    for place, members in enumerate(groups):
        chosen[members] = decisions.best[place]
        known[members] = decisions.known[place]
        tried[members] = decisions.tried[place]
    sources = [batch.sources[usable[members[0]]] for members in groups]
    recovered = list(zip(sources, decisions.recovered, strict=True)) if decisions.recovered else []
    said = _Said(chosen, known, decisions.labels, decisions.probabilities, tried)
    return _answers(opened, batch, said), recovered


@dataclass(frozen=True)
class _Said:
    """Decisions about N usable images: arrays (N,), as in `Decisions`."""

    task: NDArray[np.int64]
    known: NDArray[np.bool_]
    label: NDArray[np.int64]
    probability: NDArray[np.float64]
    tried: NDArray[np.int64]


def _given(opened: OpenTasks, batch: InputBatch) -> list[PredictedSource]:
    """Answer a batch under the only open task."""
    found = run(opened, 0, batch.images)
    none = np.zeros(len(batch.usable), dtype=np.int64)
    known = np.ones(len(none), dtype=np.bool_)
    said = _Said(none, known, found.labels, found.probabilities, none)
    return _answers(opened, batch, said)


def _failed(batch: InputBatch) -> list[PredictedSource]:
    """Answer a batch with its errors, and nothing where there is none."""
    return [
        PredictedSource(source, None, None, None, None, error)
        for source, error in zip(batch.sources, batch.errors, strict=True)
    ]


def _answers(opened: OpenTasks, batch: InputBatch, said: _Said) -> list[PredictedSource]:
    answers = _failed(batch)
    for image, place in enumerate(batch.usable):
        content = opened.tasks[int(said.task[image])].content
        answers[place] = PredictedSource(
            source=batch.sources[place],
            task=content.task,
            known=bool(said.known[image]),
            label=content.classes[int(said.label[image])].name,
            probability=float(said.probability[image]),
            error=None,
            masks_tried=int(said.tried[image]),
        )
    return answers
