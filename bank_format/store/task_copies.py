"""Copying tasks between banks: which may exchange them, and what a copy's file says."""

import dataclasses
from pathlib import Path

from bank_format.errors import OtherBaseError
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.combination import build_combination
from bank_format.kinds.mask import Task, build_task

__all__ = ["check_same_base", "renamed"]


def check_same_base(
    bank: Path, record: BankRecord, source: Path, source_record: BankRecord
) -> None:
    """Refuse a bank whose tasks cannot be used in another.

    Args:
        bank: the folder of the bank that would have them.
        record: what its bank.json says.
        source: the folder of the bank that has them.
        source_record: what its bank.json says.

    Raises:
        OtherBaseError: they have different bases.
    """
    theirs, ours = source_record.base_sha256, record.base_sha256
    if theirs != ours:
        raise OtherBaseError(
            f"{source}: base {theirs[:16]}… found, {bank} has {ours[:16]}…",
            hint="copy between banks made with the same options of supsup init-base",
        )


def renamed(record: BankRecord, task: Task, name: str) -> bytes:
    """Write the file of a task's copy under another name; its provenance goes with it.

    Args:
        record: of the bank.
        task: as read.
        name: the copy's.

    Raises:
        ValueError: a combination under the name of one of its parents.
    """
    facts = dataclasses.replace(task.content, task=name)
    if task.coefficients:
        return build_combination(
            record, facts, task.coefficients, task.statistics, task.provenance, task.arrays
        )
    return build_task(record, facts, task.masks, task.statistics, task.provenance, task.arrays)
