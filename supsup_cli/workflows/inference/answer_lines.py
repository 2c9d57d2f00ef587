"""A stream of answers: each is passed on as soon as it is decided, and none is kept."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from supsup_cli.data.images import read_images
from supsup_cli.data.sources import is_folder, lines_as_they_come
from supsup_cli.errors import ImageError, UsageError
from supsup_cli.workflows.inference.infer_task import check_top, decide_batch
from supsup_cli.workflows.inference.inputs import InputBatch, InputRequest, read_inputs
from supsup_cli.workflows.inference.predict import answer_batch
from supsup_cli.workflows.inference.rules import DecisionRequest, settle
from supsup_cli.workflows.lazy_tasks import open_lazily
from supsup_cli.workflows.left_out import LeftOut
from supsup_cli.workflows.opening import OpenTasks, open_tasks
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.inference import InferredSource, LinesResult, PredictedSource

# Waiting lines decided together: enough to share masks, few enough to answer soon.
_AT_ONCE = 256

Emit = Callable[[InferredSource | PredictedSource], None]


def predict_lines(
    path: Path,
    inputs: InputRequest,
    decision: DecisionRequest,
    task: str | None,
    reporter: Reporter,
    emit: Emit,
) -> LinesResult:
    """Classify images one by one; see `predict`. The bank is read once, when the stream starts.

    Args:
        path: the bank's folder.
        inputs: which images; from standard input line by line.
        decision: method, objective, device; every image is decided alone.
        task: the task if it is given.
        reporter: gets notes.
        emit: gets each answer, in order.

    Raises:
        UsageError: a group of images was asked for, "-" does not stand alone, or other options
            cannot be used.
        NoInputError, BankError: see `predict`.
    """
    _check(inputs, decision)
    if task is not None:
        given = open_tasks(path, decision.device, [task])
        return _stream(
            given, inputs, reporter, emit, lambda batch: answer_batch(given, None, batch)[0]
        )
    opened, rule = settle(open_lazily(path, decision.device), decision, reporter)
    return _stream(
        opened, inputs, reporter, emit, lambda batch: answer_batch(opened, rule, batch)[0]
    )


def infer_lines(
    path: Path,
    inputs: InputRequest,
    decision: DecisionRequest,
    top: int,
    reporter: Reporter,
    emit: Emit,
) -> LinesResult:
    """Name the task of images one by one; see `infer_task` and `predict_lines`."""
    check_top(top)
    _check(inputs, decision)
    opened, rule = settle(open_lazily(path, decision.device), decision, reporter)
    return _stream(
        opened, inputs, reporter, emit, lambda batch: decide_batch(opened, rule, batch, top)[0]
    )


def _check(inputs: InputRequest, decision: DecisionRequest) -> None:
    if decision.group not in ("image", "1"):
        raise UsageError(f"--group {decision.group} with --json-lines: expected image")
    if "-" in inputs.paths:
        _check_alone(inputs)


def _check_alone(inputs: InputRequest) -> None:
    """Refuse what stands beside "-": a list that may never end has no sample and nothing after it.

    Raises:
        UsageError: there are other paths, names of data or a limit.
    """
    others = list(inputs.paths)
    others.remove("-")
    if inputs.data:
        beside = f"--data {inputs.data[0]}"
        hint = "ask for the data by a command of its own, without -"
    elif inputs.limit is not None:
        beside = f"--limit {inputs.limit}"
        hint = "leave --limit out and write only the lines that you want answered"
    elif others:
        beside = others[0]
        hint = "give - once" if beside == "-" else f"leave - out, or write {beside} as a line"
    else:
        return
    raise UsageError(f"{beside} beside - with --json-lines: expected - alone", hint=hint)


def _stream(
    opened: OpenTasks,
    inputs: InputRequest,
    reporter: Reporter,
    emit: Emit,
    answer: Callable[[InputBatch], list[Any]],
) -> LinesResult:
    answers = failed = new = 0
    left_out = LeftOut(opened, reporter.note)
    shape = opened.net.bank.record.input.shape
    listed = tuple(inputs.paths) == ("-",)
    batches = (
        _lines(inputs, shape) if listed else read_inputs(inputs, shape, opened.seeds, reporter.note)
    )
    for batch in batches:
        told = answer(batch)
        left_out.tell()
        for one in told:
            emit(one)
            answers += 1
            failed += one.error is not None
            new += one.known is False
    return LinesResult(answers, failed, new, left_out.tasks)


def _lines(inputs: InputRequest, shape: tuple[int, int, int]) -> Iterator[InputBatch]:
    """Read exactly one file for each line; anything else becomes an error in its place."""
    for lines in lines_as_they_come(inputs.stdin, _AT_ONCE):
        problems = [_problem(line) for line in lines]
        paths = [line for line, problem in zip(lines, problems, strict=True) if problem is None]
        read = iter(read_images(paths, shape, inputs.reading.max_pixels) if paths else ())
        found = [
            next(read) if problem is None else ImageError(line, problem)
            for line, problem in zip(lines, problems, strict=True)
        ]
        images = [one for one in found if not isinstance(one, ImageError)]
        yield InputBatch(
            tuple(lines),
            ("",) * len(lines),
            tuple(str(one) if isinstance(one, ImageError) else None for one in found),
            np.stack(images) if images else np.empty((0, *shape), dtype=np.uint8),
        )


def _problem(line: str) -> str | None:
    if not line.strip():
        return "a blank line, expected a path"
    try:
        return "a folder, expected an image file" if is_folder(line) else None
    except ValueError as error:  # a NUL
        return f"not a usable path ({error})"
