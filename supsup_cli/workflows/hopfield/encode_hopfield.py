"""`encode-hopfield`: store all unit masks as attractors, recall each, report."""

import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bank_format.bank import Bank
from bank_format.errors import DamagedError
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.hopfield import RULES, Attractors, Rule
from bank_format.kinds.mask import Task
from bank_format.store.attractors import in_order, read_attractors, write_attractors
from supsup_cli.choices import check_choice
from supsup_cli.core.hopfield.attractors import RULES as ADD
from supsup_cli.core.hopfield.attractors import capacity
from supsup_cli.data.reading import DEFAULT, Reading
from supsup_cli.errors import NoInputError, UsageError
from supsup_cli.workflows.hopfield.attractors import pattern_record, refuse_edges
from supsup_cli.workflows.hopfield.recall import (
    patterns_of,
    recalled_from_all,
    recalled_from_itself,
)
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.common import FailedInput
from supsup_cli.workflows.results.hopfield import EncodeResult, StoringLayer

# Share of the capacity from which the user is warned.
_NEARLY_FULL = 0.8
# The matrices, their upper triangles, and the file's bytes are in memory together.
_MATRICES_AT_ONCE = 3


@dataclass(frozen=True)
class EncodeRequest:
    """What to store, and how to check it.

    Attributes:
        rule: storkey or hebbian.
        verify: recall every mask from its data and from corrupted copies too.
        limit: random (seeded) images of each task for that; None uses all.
        seed: of that choice and of the corruption.
        device: where recovery computes.
        reading: how the tasks' data are read.
    """

    rule: str = "storkey"
    verify: bool = False
    limit: int | None = None
    seed: int = 0
    device: str = "auto"
    reading: Reading = DEFAULT


def encode_hopfield(path: Path, request: EncodeRequest, reporter: Reporter) -> EncodeResult:
    """Store the masks of all tasks as attractors, starting from what is already stored.

    Tasks are ordered by the time they were learned, then by name. If the stored tasks are the first
    in that order, the others are added to them; otherwise all are encoded anew.

    Raises:
        UsageError: a bank of edges, no such rule, more units than memory can hold matrices of, or
            a task with a gain for its units.
        NoInputError: the bank has no task yet.
        BankError: the bank or a task cannot be read, or the file cannot be written.
    """
    check_choice("--rule", request.rule, RULES)
    rule = next(one for one in RULES if one == request.rule)
    if request.limit is not None and request.limit < 1:
        raise UsageError(f"--limit {request.limit}: expected at least 1")
    began = time.perf_counter()
    bank = Bank.open(path)
    refuse_edges(path, bank.record)
    _check_memory(path, bank.record)
    tasks = in_order(bank.read_tasks()[0])
    _check(path, tasks)
    stored, size = _stored(bank, rule, tasks, reporter)
    known = len(stored.tasks) if stored else 0
    attractors = _extended(bank.record, rule, stored, tasks, reporter)
    if known < len(tasks):
        size = write_attractors(path, bank.record, attractors)
    else:
        bank.settle()
    layers = _layers(attractors)
    _warn(path, layers, len(tasks), reporter)
    matrices = {name: torch.from_numpy(one) for name, one in attractors.matrices.items()}
    recall = tuple(recalled_from_itself(task, bank.record, matrices) for task in tasks)
    failed: tuple[FailedInput, ...] = ()
    if request.verify:
        recall, failed = recalled_from_all(
            path,
            recall,
            request.limit,
            request.seed,
            request.device,
            request.reading,
            reporter,
        )
    return EncodeResult(
        status="exists" if known == len(tasks) else "extended" if known else "encoded",
        patterns=len(tasks),
        added=len(tasks) - known,
        units=sum(layer.units for layer in layers),
        bytes=size,
        mask_bytes=bank.record.mask_bytes * len(tasks),
        pays_from=size // bank.record.mask_bytes + 1,
        rule=rule,
        layers=layers,
        recall=recall,
        seconds=time.perf_counter() - began,
        failed=failed,
    )


def _check_memory(path: Path, record: BankRecord) -> None:
    needed = _MATRICES_AT_ONCE * 8 * sum(one.count**2 for one in record.masked)
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        widths = ", ".join(f"{one.count:,}" for one in record.masked)
        raise UsageError(
            f"{path}: layers of {widths} units found; their matrices take {needed / 1e9:,.1f} GB "
            f"of memory, expected at most this machine's {there / 1e9:,.1f} GB",
            hint="make a bank with narrower layers",
        )


def _check(path: Path, tasks: Sequence[Task]) -> None:
    if not tasks:
        raise NoInputError(
            f"{path}: no task found, expected at least one",
            hint=f"supsup learn-task --bank {shlex.quote(str(path))} --data mnist-split-0..4",
        )
    for task in tasks:
        if task.sparse:
            raise UsageError(
                f"{path}: task {task.content.task!r} with a density found, expected none: its "
                "kept units have a gain, and attractors hold only bits",
                hint="learn it without --density into a bank of its own",
            )


def _stored(
    bank: Bank, rule: Rule, tasks: Sequence[Task], reporter: Reporter
) -> tuple[Attractors | None, int]:
    """Read stored attractors that can be extended: same rule, and the first tasks in order."""
    try:
        found = read_attractors(bank.path, bank.record)
    except DamagedError as error:  # derived, so that nothing is lost with it
        reporter.note(f"{error.message}; encoded anew")
        return None, 0
    if found is None:
        return None, 0
    stored, size = found
    if stored.rule != rule:
        reporter.note(f"rule {stored.rule} found, {rule} asked for: encoded anew")
        return None, 0
    first = tuple(pattern_record(task) for task in tasks[: len(stored.tasks)])
    if stored.tasks != first:
        reporter.note("stored tasks are gone, changed or out of order: encoded anew")
        return None, 0
    return stored, size


def _extended(
    record: BankRecord,
    rule: Rule,
    stored: Attractors | None,
    tasks: Sequence[Task],
    reporter: Reporter,
) -> Attractors:
    """Add the tasks that are not stored yet, one by one."""
    if stored is None:
        matrices = {one.name: torch.zeros(one.count, one.count).double() for one in record.masked}
        sums = {one.name: torch.zeros(one.count).double() for one in record.masked}
        known = 0
    else:
        matrices = {name: torch.from_numpy(one) for name, one in stored.matrices.items()}
        sums = {name: torch.from_numpy(one.copy()) for name, one in stored.sums.items()}
        known = len(stored.tasks)
    with reporter.track("encoding", len(tasks) - known, "masks") as advance:
        for task in tasks[known:]:
            for name, pattern in patterns_of(task, record).items():
                matrices[name] = ADD[rule](matrices[name], pattern)
                sums[name] += pattern
            advance(1)
    return Attractors(
        rule,
        tuple(map(pattern_record, tasks)),
        {name: one.numpy() for name, one in matrices.items()},
        {name: one.numpy() for name, one in sums.items()},
    )


def _layers(attractors: Attractors) -> tuple[StoringLayer, ...]:
    return tuple(
        StoringLayer(
            parameter=name,
            units=len(matrix),
            load=len(attractors.tasks) / len(matrix),
            capacity=capacity(attractors.rule, len(matrix)),
        )
        for name, matrix in attractors.matrices.items()
    )


def _warn(path: Path, layers: Sequence[StoringLayer], patterns: int, reporter: Reporter) -> None:
    narrow = min(layers, key=lambda layer: layer.capacity)
    if patterns > _NEARLY_FULL * narrow.capacity:
        reporter.note(
            f"{path}: {patterns} masks in {narrow.units} units of {narrow.parameter}, which "
            f"hold about {narrow.capacity} by this rule: recall begins to fail; make a bank with "
            "wider layers"
        )
