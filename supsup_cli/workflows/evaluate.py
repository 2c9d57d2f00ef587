"""`evaluate`: test accuracy with the task given and with the task inferred."""

import dataclasses
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bank_format.task_file import Task
from supsup_cli.data import catalog
from supsup_cli.data.reading import DEFAULT, Reading
from supsup_cli.data.splits import Split, TestData, choose
from supsup_cli.errors import NoInputError, SupsupError, UsageError
from supsup_cli.workflows.deciding import (
    DecisionRequest,
    Rule,
    choose_rule,
    classify,
    group_places,
)
from supsup_cli.workflows.decisions import classify_decided, decide
from supsup_cli.workflows.evaluation_table import write_table
from supsup_cli.workflows.opening import OpenNetwork, OpenTasks, open_tasks
from supsup_cli.workflows.recovering import report
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.asking import (
    EvaluatedTask,
    EvaluateResult,
    GroupScores,
    NamedTask,
    Scores,
    TaskRecovery,
)
from supsup_cli.workflows.results.common import FailedInput

_GROUP_SIZES = re.compile("[1-9][0-9]{0,8}(?:,[1-9][0-9]{0,8}){0,63}")
_Shares = TypeVar("_Shares", bound=Scores)


@dataclass(frozen=True)
class EvaluateRequest:
    """What to measure.

    Attributes:
        tasks: names; none means all.
        limit: images of each task, a seeded choice; None takes all.
        seed: of the choice.
        group_sizes: numbers of images that share a decision, to compare, as "1,8,64"; or "".
        plot: where to draw the accuracies; None for nowhere.
        csv: where to write the table and the confusion; None for nowhere.
        reading: where data lie; an image file with more pixels than it allows is an input that
            failed.
    """

    tasks: Sequence[str] = ()
    limit: int | None = None
    seed: int = 0
    group_sizes: str = ""
    plot: Path | None = None
    csv: Path | None = None
    reading: Reading = DEFAULT


def evaluate(
    path: Path, decision: DecisionRequest, request: EvaluateRequest, reporter: Reporter
) -> EvaluateResult:
    """Measure the test accuracy of tasks; all of the bank's tasks compete in inference.

    Groups span images of one task only, in the order of the test split.

    Args:
        path: the bank's folder.
        decision: method, objective, group, device.
        request: which tasks and images, and what to make of the numbers.
        reporter: hears of the progress.

    Raises:
        UsageError, NoInputError: options that cannot be used, or no task's data is there.
        StorageError: the picture or the table cannot be written.
        BankError: the bank or one of its tasks cannot be read, or there is no such task.
    """
    if request.limit is not None and request.limit < 1:
        raise UsageError(f"--limit {request.limit}: expected at least 1")
    sizes = _sizes(request.group_sizes)
    opened = open_tasks(path, decision.device)
    rule = choose_rule(opened, decision, reporter)
    names = list(dict.fromkeys(request.tasks)) or opened.names
    for name in names:
        if name not in opened.names:
            opened.net.bank.read_task(name)  # raises: there is no such task
    began = time.perf_counter()
    evaluated: list[EvaluatedTask] = []
    grouped: dict[int, list[EvaluatedTask]] = {size: [] for size in sizes}
    confusion: list[NamedTask] = []
    recoveries: list[TaskRecovery] = []
    failed: list[FailedInput] = []
    with reporter.track("evaluating", len(names), "tasks") as advance:
        for name in names:
            index = opened.names.index(name)
            try:
                data = test_data(opened.net, opened.tasks[index], request.reading)
            except SupsupError as error:
                failed.append(FailedInput(name, error.message))
            else:
                failed += [FailedInput(source, reason) for source, reason in data.broken]
                test = data.test
                chosen = choose(len(test), request.limit, request.seed)
                part = Split(test.images[chosen], test.labels[chosen])
                task, inferred, recovered = _evaluate(opened, rule, index, part)
                evaluated.append(task)
                confusion += _named(opened, name, inferred)
                recoveries += recovered
                for size in sizes:
                    by_size = dataclasses.replace(rule, group=str(size))
                    grouped[size].append(_evaluate(opened, by_size, index, part)[0])
            advance(1)
    if not evaluated:
        raise NoInputError(f"no task could be evaluated; {failed[0].source}: {failed[0].error}")
    result = EvaluateResult(
        tasks=tuple(evaluated),
        mean=_mean(Scores, evaluated),
        by_group=tuple(_mean(GroupScores, tasks, group=size) for size, tasks in grouped.items()),
        confusion=tuple(confusion),
        method=rule.method,
        objective=rule.objective,
        group=rule.group,
        seconds=time.perf_counter() - began,
        plot=None if request.plot is None else str(request.plot),
        csv=None if request.csv is None else str(request.csv),
        failed=tuple(failed),
        recoveries=tuple(recoveries),
    )
    if request.csv is not None:
        write_table(result, opened.names, request.csv)
    if request.plot is not None:
        from supsup_cli.workflows.plots import plot_evaluation

        plot_evaluation(result, request.plot)
    return result


def _sizes(text: str) -> list[int]:
    if text and not _GROUP_SIZES.fullmatch(text):
        raise UsageError(f"--group-sizes {text}: expected numbers of images, as in 1,8,64")
    return sorted({int(size) for size in text.split(",")}) if text else []


def test_data(net: OpenNetwork, task: Task, reading: Reading) -> TestData:
    """Load the test split that a task was learned beside.

    Raises:
        NoInputError: the data is not there, or is other data by now.
    """
    content = task.content
    shape = net.bank.record.input.shape
    data = task.provenance.source or content.data.name
    found = catalog.digest(data, shape, reading)
    if found != content.data.digest:
        raise NoInputError(
            f"{data}: data {found[:16]}… found, task {content.task!r} learned from "
            f"{content.data.digest[:16]}…"
        )
    return catalog.load_test(data, shape, seed=content.seed, reading=reading)


def _evaluate(
    opened: OpenTasks, rule: Rule, index: int, test: Split
) -> tuple[EvaluatedTask, NDArray[np.int64], list[TaskRecovery]]:
    """Measure one task.

    Returns:
        The shares; (N,) int64, the task that each image was said to be of; masks recovered.
    """
    content = opened.tasks[index].content
    groups = group_places(rule.group, [content.task] * len(test))
    inferred = np.empty(len(test), dtype=np.int64)
    decisions = decide(opened, rule, test.images, groups)
    known = np.empty(len(test), dtype=np.bool_)
    for members, winner, knows in zip(groups, decisions.best, decisions.known, strict=True):
        inferred[members] = winner
        known[members] = knows
    given, _ = classify(opened, test.images, np.full(len(test), index))
    labels, _ = classify_decided(opened, test.images, groups, decisions)
    said = [
        opened.tasks[task].content.classes[label].name
        for task, label in zip(inferred.tolist(), labels.tolist(), strict=True)
    ]
    true = [content.classes[label].name for label in test.labels.tolist()]
    class_right = np.array([a == b for a, b in zip(said, true, strict=True)])
    task_right = inferred == index
    shares = EvaluatedTask(
        task=content.task,
        images=len(test),
        accuracy_given=float((given == test.labels).mean()),
        accuracy_inferred=float((class_right & task_right).mean()),
        accuracy_inferred_shared=float(class_right.mean()),
        task_accuracy=float((decisions.best == index).mean()),
        false_alarms=float((~known).mean()),
    )
    told = [report(one, opened.names) for one in decisions.recovered or ()]
    recoveries = [
        TaskRecovery(**dataclasses.asdict(one), of=content.task, right=one.task == content.task)
        for one in told
    ]
    return shares, inferred, recoveries


def _named(opened: OpenTasks, task: str, inferred: NDArray[np.int64]) -> list[NamedTask]:
    counts = np.bincount(inferred, minlength=len(opened.tasks)).tolist()
    return [
        NamedTask(task, named, count)
        for named, count in zip(opened.names, counts, strict=True)
        if count
    ]


def _mean(kind: type[_Shares], tasks: Sequence[Scores], **others: int) -> _Shares:
    shares = {
        field.name: float(np.mean([getattr(task, field.name) for task in tasks]))
        for field in fields(Scores)
    }
    return kind(**shares, **others)
