"""Repair: set aside what is damaged, make again what is derived, never delete a learned mask.

Damaged files are moved to quarantine/, which no command reads, under names with part of their
digest; nothing is overwritten. Each step is one move or one new file. Every run looks at the bank
again to find out what to do, so if one is killed at any step, the next does what is left.
"""

import dataclasses
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bank_format.check.problems import Problem, VerifyReport
from bank_format.check.repair_plan import Repair, plan_repairs
from bank_format.check.verify import verify
from bank_format.disk import files
from bank_format.errors import OtherBaseError, StorageError
from bank_format.kinds.base import regenerate_base
from bank_format.store.attractors import encode_command
from bank_format.store.layout import (
    BANK_FILE,
    BASE_FILE,
    HOPFIELD_FILE,
    MASKS,
    QUARANTINE,
    SIGNATURES,
    SUFFIX,
    read_record,
)
from bank_format.store.tasks import settle_tasks

__all__ = ["RepairReport", "repair"]

_MOST_ROUNDS = 4  # a problem that one reading of the bank missed is repaired after the next


@dataclass(frozen=True, slots=True)
class RepairReport(VerifyReport):
    """The bank after a repair; for a dry run, the bank as it is and what would be done.

    Args:
        problems: files that still cannot be used, and files set aside that the bank now lacks.
        hints: see `VerifyReport`.
        tasks: number of whole task files.
        repairs: what was done, or would be, in order.
    """

    repairs: tuple[Repair, ...]


def repair(path: Path, *, dry_run: bool = False) -> RepairReport:
    """Repair what can be repaired without a copy, and set aside what cannot.

    A bank is left as it is if bank.json cannot be read. It is also left if neither the base nor a
    task confirms bank.json but some task contradicts it, because it may be another bank's.

    Args:
        path: the bank's folder.
        dry_run: change nothing, report what would be done.

    Raises:
        NoBankError: the folder holds neither bank.json nor anything else of a bank.
        NameTakenError: someone else took a name in between; run it again.
        StorageError: the system refused; run again, it does what is left.
    """
    report = verify(path)
    missed: list[Problem] = []
    done: list[Repair] = []
    for rounds_left in reversed(range(_MOST_ROUNDS)):
        repairs, doubts = _plan(path, report)
        if dry_run or not (repairs and rounds_left):
            break
        _perform(path, repairs)
        done.extend(repairs)
        missed.extend(_missed(report.problems, repairs))
        report = verify(path)
    if not dry_run:
        settle_tasks(path)  # including moves of an earlier repair that was killed before this step
    told = repairs if dry_run else tuple(done)
    problems = (*missed, *report.problems)
    hints = (*report.hints, *doubts, *_derived(path, told))
    return RepairReport(problems, hints, report.tasks, told)


def _plan(bank: Path, report: VerifyReport) -> tuple[tuple[Repair, ...], tuple[str, ...]]:
    """Return what to do, and why nothing is done if the bank cannot be trusted."""
    unread = next((one for one in report.problems if one.file == BANK_FILE), None)
    if unread is not None:
        if unread.slug == StorageError.slug:
            raise StorageError(unread.message, hint=unread.hint)
        return (), ()
    record = read_record(bank)
    if not _is_trusted(report):
        doubt = (
            f"{bank / BANK_FILE}: base {record.base_sha256[:16]}… found, but neither {BASE_FILE} "
            f"nor any task belongs to it: nothing was repaired; restore {BANK_FILE} from a copy"
        )
        return (), (doubt,)
    return plan_repairs(bank, record, report.problems), ()


def _perform(bank: Path, repairs: tuple[Repair, ...]) -> None:
    for one in repairs:
        match one.action:
            case "quarantined":
                files.make_folder(bank / QUARANTINE)
                files.move_new(bank / one.file, bank / one.to)
            case "regenerated":
                files.write_new(bank / BASE_FILE, regenerate_base(read_record(bank)))
            case "made":
                files.make_folder(bank / one.file)
    _rename(bank, {one.file: one.to for one in repairs if one.action == "renamed"})


def _rename(bank: Path, renames: Mapping[str, str]) -> None:
    """Move files to their rightful names, even if some of them have each other's names.

    First all move to free names that tasks can have, so that a run after a kill finds them there.
    """
    names = (f"{MASKS}/misplaced-{number}{SUFFIX}" for number in count(1))
    free = (name for name in names if not files.exists(bank / name))
    parked = {file: next(free) for file in renames}
    for file, name in parked.items():
        files.move_new(bank / file, bank / name)
    for file, name in parked.items():
        files.move_new(bank / name, bank / renames[file])


def _missed(problems: tuple[Problem, ...], repairs: tuple[Repair, ...]) -> list[Problem]:
    lost = {one.file: one.to for one in repairs if not one.lossless}
    return [
        dataclasses.replace(
            one, hint=f"restore it from a copy, or make it again; it is {lost[one.file]} now"
        )
        for one in problems
        if one.file in lost
    ]


def _derived(bank: Path, repairs: tuple[Repair, ...]) -> list[str]:
    """Explain how to remake what was set aside and can be made from the bank's other files."""
    hints = []
    if any(one.file == HOPFIELD_FILE for one in repairs):
        hints.append(f"{HOPFIELD_FILE} can be made again from the masks: {encode_command(bank)}")
    if any(one.file.startswith(f"{SIGNATURES}/") for one in repairs):
        sign = f"supsup tasks sign --bank {shlex.quote(str(bank))}"
        hints.append(f"{SIGNATURES}/ can be made again from the tasks' data: {sign}")
    return hints


def _is_trusted(report: VerifyReport) -> bool:
    """Return whether the base or a task confirms bank.json, or nothing contradicts it."""
    confirmed = report.tasks > 0 or all(one.file != BASE_FILE for one in report.problems)
    others = (one for one in report.problems if one.slug == OtherBaseError.slug)
    return confirmed or all(one.file == BASE_FILE for one in others)
