"""`evaluate`: test accuracy with the task given and with the task inferred."""

import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from bank_format.task_file import Task
from supsup_cli.data import catalog
from supsup_cli.data.splits import Split, TestData, choose
from supsup_cli.errors import NoInputError, SupsupError, UsageError
from supsup_cli.workflows.deciding import (
    DecisionRequest,
    Rule,
    best_tasks,
    choose_rule,
    classify,
    group_places,
    score_groups,
)
from supsup_cli.workflows.opening import OpenTasks, open_tasks
from supsup_cli.workflows.recognising import recognise
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results import EvaluatedTask, EvaluateResult, FailedInput, Scores


def evaluate(
    path: Path,
    decision: DecisionRequest,
    tasks: Sequence[str],
    limit: int | None,
    seed: int,
    reporter: Reporter,
) -> EvaluateResult:
    """Measure the test accuracy of tasks; all of the bank's tasks compete in inference.

    Groups span images of one task only, in the order of the test split.

    Args:
        path: the bank's folder.
        decision: method, objective, group, device.
        tasks: which to measure; none means all.
        limit: images of each task, a seeded choice; None takes all.
        seed: of the choice.
        reporter: hears of the progress.

    Raises:
        UsageError, NoInputError: options that cannot be used, or no task's data is there.
        BankError: the bank or one of its tasks cannot be read, or there is no such task.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: expected at least 1")
    opened = open_tasks(path, decision.device)
    rule = choose_rule(opened, decision)
    names = list(dict.fromkeys(tasks)) or opened.names
    for name in names:
        if name not in opened.names:
            opened.net.bank.read_task(name)  # raises: there is no such task
    began = time.perf_counter()
    evaluated: list[EvaluatedTask] = []
    failed: list[FailedInput] = []
    with reporter.track("evaluating", len(names), "tasks") as advance:
        for name in names:
            index = opened.names.index(name)
            try:
                data = _test_data(opened, opened.tasks[index])
            except SupsupError as error:
                failed.append(FailedInput(name, error.message))
            else:
                failed += [FailedInput(source, reason) for source, reason in data.broken]
                test = data.test
                chosen = choose(len(test), limit, seed)
                part = Split(test.images[chosen], test.labels[chosen])
                evaluated.append(_evaluate(opened, rule, index, part))
            advance(1)
    if not evaluated:
        raise NoInputError(f"no task could be evaluated; {failed[0].source}: {failed[0].error}")
    return EvaluateResult(
        tasks=tuple(evaluated),
        mean=_mean(evaluated),
        method=rule.method,
        objective=rule.objective,
        group=rule.group,
        seconds=time.perf_counter() - began,
        failed=tuple(failed),
    )


def _test_data(opened: OpenTasks, task: Task) -> TestData:
    content = task.content
    shape = opened.net.bank.record.input.shape
    data = task.provenance.source or content.data.name
    found = catalog.digest(data, shape)
    if found != content.data.digest:
        raise NoInputError(
            f"{data}: data {found[:16]}… found, task {content.task!r} learned from "
            f"{content.data.digest[:16]}…"
        )
    return catalog.load_test(data, shape, seed=content.seed)


def _evaluate(opened: OpenTasks, rule: Rule, index: int, test: Split) -> EvaluatedTask:
    content = opened.tasks[index].content
    groups = group_places(rule.group, [content.task] * len(test))
    inferred = np.empty(len(test), dtype=np.int64)
    best = best_tasks(score_groups(opened, rule, test.images, groups))
    known = np.empty(len(test), dtype=np.bool_)
    recognised = recognise(opened, test.images, groups, best)
    for members, winner, knows in zip(groups, best, recognised, strict=True):
        inferred[members] = winner
        known[members] = knows
    given, _ = classify(opened, test.images, np.full(len(test), index))
    labels, _ = classify(opened, test.images, inferred)
    said = [
        opened.tasks[task].content.classes[label].name
        for task, label in zip(inferred.tolist(), labels.tolist(), strict=True)
    ]
    true = [content.classes[label].name for label in test.labels.tolist()]
    class_right = np.array([a == b for a, b in zip(said, true, strict=True)])
    task_right = inferred == index
    return EvaluatedTask(
        task=content.task,
        images=len(test),
        accuracy_given=float((given == test.labels).mean()),
        accuracy_inferred=float((class_right & task_right).mean()),
        accuracy_inferred_shared=float(class_right.mean()),
        task_accuracy=float((best == index).mean()),
        false_alarms=float((~known).mean()),
    )


def _mean(tasks: Sequence[EvaluatedTask]) -> Scores:
    return Scores(
        **{
            field.name: float(np.mean([getattr(task, field.name) for task in tasks]))
            for field in fields(Scores)
        }
    )
