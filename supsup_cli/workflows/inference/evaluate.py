"""`evaluate`: test accuracy with the task given and with the task inferred."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from bank_format.disk.stores import Place
from bank_format.errors import BankError
from supsup_cli.data.reading import DEFAULT, Reading
from supsup_cli.data.splits import choose
from supsup_cli.errors import NoInputError, SupsupError, UsageError
from supsup_cli.workflows.anew import anew
from supsup_cli.workflows.held_out import find_moved, held_out, moved_hint
from supsup_cli.workflows.inference.accuracy import (
    HeldOutTask,
    Measured,
    images_together,
    measure,
    write_table,
)
from supsup_cli.workflows.inference.rules import DecisionRequest, settle, told_of_compiling
from supsup_cli.workflows.inference.shared_tests import SharedTests
from supsup_cli.workflows.lazy_tasks import open_lazily
from supsup_cli.workflows.left_out import LeftOut
from supsup_cli.workflows.opening import OpenTasks
from supsup_cli.workflows.ranks import ALONE, Ranks
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.common import FailedInput
from supsup_cli.workflows.results.inference import EvaluateResult, GroupScores, Scores
from supsup_cli.workflows.written import check_written

_GROUP_SIZES = re.compile("[1-9][0-9]{0,8}(?:,[1-9][0-9]{0,8}){0,63}")
_Shares = TypeVar("_Shares", bound=Scores)


@dataclass(frozen=True)
class EvaluateRequest:
    """What to measure.

    Attributes:
        tasks: names; none means all.
        limit: random (seeded) images of each task; None uses all.
        seed: for that choice.
        group_sizes: further group sizes to measure, such as "1,8,64"; or "".
        plot: file for a picture of accuracies and confusion; None for none.
        csv: file for a table of them; None for none.
        reading: where data are; an image file with more pixels than it allows is a failed input.
        data: folders where data lie now; digests match them to tasks.
    """

    tasks: Sequence[str] = ()
    limit: int | None = None
    seed: int = 0
    group_sizes: str = ""
    plot: Path | None = None
    csv: Path | None = None
    reading: Reading = DEFAULT
    data: Sequence[str] = ()


def evaluate(
    path: Place,
    decision: DecisionRequest,
    request: EvaluateRequest,
    reporter: Reporter,
    ranks: Ranks = ALONE,
) -> EvaluateResult:
    """Measure the test accuracy of tasks; all of the bank's tasks compete in inference.

    Groups span images of one task only, in the order of the test split.

    Args:
        path: the bank's folder.
        decision: method, objective, group, device.
        request: which tasks and images, and what to write.
        reporter: gets the progress.
        ranks: who shares the images.

    Raises:
        UsageError, NoInputError: options cannot be used, or no task's data are there.
        StorageError: the picture or the table cannot be written.
        BankError: the bank or one of its tasks cannot be read, or there is no such task.
    """
    if request.limit is not None and request.limit < 1:
        raise UsageError(f"--limit {request.limit}: expected at least 1")
    sizes = _sizes(request.group_sizes)
    check_written(request.csv, request.plot)
    opened, rule = settle(open_lazily(path, decision.device), decision, reporter)
    left_out = LeftOut(opened, reporter.note)
    there = set(opened.names)
    for name in request.tasks:
        if name not in there:
            opened.net.bank.read_task(name)  # raises: there is no such task, or it is damaged
    names = list(dict.fromkeys(request.tasks)) or opened.names
    moved = find_moved(opened, request.data, request.reading)
    together = images_together(rule, opened.net.bank.record.input.shape)
    rules = [rule, *(replace(rule, group=str(size)) for size in sizes)]
    shared = SharedTests(ranks, rules, names)
    began = time.perf_counter()
    found: list[list[Measured]] = [[] for _ in rules]
    broken: list[tuple[str, FailedInput]] = []
    with told_of_compiling(reporter), reporter.track("evaluating", len(names), "tasks") as advance:
        for tests, failures, count in _loaded(opened, shared, request, together, moved):
            broken += failures
            for by, those in zip(rules if tests else (), found, strict=False):
                those.extend(measure(opened, by, tests))
            left_out.tell()
            advance(shared.counted(count))
        (measured, *grouped), failed, without = shared.gathered(found, broken, left_out.tasks)
    evaluated = [one.task for one in measured]
    if not evaluated and not failed:
        raise next(iter(opened.failures.values()))
    if not evaluated:
        raise NoInputError(
            f"no task could be evaluated; {failed[0].source}: {failed[0].error}",
            hint=moved_hint(opened.net),
        )
    result = EvaluateResult(
        tasks=tuple(evaluated),
        mean=_mean(Scores, evaluated),
        by_group=tuple(
            _mean(GroupScores, [one.task for one in those], group=size)
            for size, those in zip(sizes, grouped, strict=True)
        ),
        confusion=tuple(named for one in measured for named in one.named),
        method=rule.method,
        objective=rule.objective,
        group=rule.group,
        seconds=time.perf_counter() - began,
        plot=None if request.plot is None else str(request.plot),
        csv=None if request.csv is None else str(request.csv),
        failed=tuple(failed),
        recoveries=tuple(recovery for one in measured for recovery in one.recoveries),
        left_out=without,
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


def _loaded(
    opened: OpenTasks,
    shared: SharedTests,
    request: EvaluateRequest,
    together: int,
    moved: Mapping[str, str],
) -> Iterator[tuple[list[HeldOutTask], list[tuple[str, FailedInput]], int]]:
    """Load test images, of as many tasks at a time as are measured together.

    Args:
        opened: all tasks.
        shared: those to load, and which images of each.
        request: limit, seed, and where data lie.
        together: number of images measured together; a task is not split.
        moved: digest of data → where they lie now.

    Yields:
        the tests to measure, perhaps none; the failed inputs with their tasks; the number of tasks.
    """
    places = {name: index for index, name in enumerate(opened.names)}
    tests: list[HeldOutTask] = []
    failed: list[tuple[str, FailedInput]] = []
    count = 0
    for name in shared.names:
        index = places[name]
        try:
            task = anew(opened, partial(opened.tasks.__getitem__, index))
        except BankError:  # it is among the failures
            count += 1
            continue
        try:
            data = held_out(opened.net, task, request.reading, moved)
        except SupsupError as error:
            failed.append((name, FailedInput(name, error.message)))
            count += 1
            continue
        failed += [(name, FailedInput(source, reason)) for source, reason in data.broken]
        own = shared.places(choose(len(data.test), request.limit, request.seed))
        count += 1
        if own is None:
            continue
        part = data.test.take(own)
        if tests and sum(len(test.split) for test in tests) + len(part) > together:
            yield tests, failed, count
            tests, failed, count = [], [], 0
        tests.append(HeldOutTask(index, part))
    yield tests, failed, count


def _mean(kind: type[_Shares], tasks: Sequence[Scores], **others: int) -> _Shares:
    shares = {
        field.name: float(np.mean([getattr(task, field.name) for task in tasks]))
        for field in fields(Scores)
    }
    return kind(**shares, **others)
