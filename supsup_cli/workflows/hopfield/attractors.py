"""Open a bank's attractors for recovery, and check that the bank can have some."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bank_format.disk.stores import Place
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.hopfield import PatternRecord
from bank_format.kinds.mask import Task
from bank_format.store.attractors import compare, encode_command, read_attractors
from bank_format.store.layout import HOPFIELD_FILE
from supsup_cli.errors import DeviceError, NoInputError, UsageError
from supsup_cli.workflows.opening import OpenNetwork
from supsup_cli.workflows.reporting import Reporter

_FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class OpenAttractors:
    """What recovery may use: none of it grows with the number of tasks.

    Attributes:
        matrices: parameter name → (d, d) float64, symmetric, zero diagonal.
        start: parameter name → (d,) float64, the mean of the stored patterns, −1…1.
        tasks: number of stored patterns.
    """

    matrices: Mapping[str, Tensor]
    start: Mapping[str, Tensor]
    tasks: int


def refuse_edges(path: Place, record: BankRecord) -> None:
    """Refuse a bank with masks over edges.

    Raises:
        UsageError: it is such a bank; the message says how large the matrices would be.
    """
    if record.masking == "units":
        return
    counts = [one.count for one in record.masked]
    one_matrix = _FLOAT32 * sum(counts) ** 2
    by_layer = _FLOAT32 * sum(count**2 for count in counts)
    new = shlex.quote(f"{path}-of-units")
    raise UsageError(
        f"{path}: masks of {sum(counts):,} edges found, expected of units: one matrix for "
        f"{sum(counts):,} edges would take {_gigabytes(one_matrix)}, one for each layer "
        f"{_gigabytes(by_layer)}; the packed mask takes {record.mask_bytes:,} bytes",
        hint=f"supsup init-base --bank {new} --arch units-2048-2048 makes a bank that can have "
        "attractors; in this one leave --method to auto, which reads the masks themselves",
    )


def open_attractors(
    net: OpenNetwork, tasks: Sequence[Task], reporter: Reporter, unread: Collection[str] = ()
) -> OpenAttractors:
    """Open a bank's attractors; note the tasks that they lack, and those that are gone.

    Args:
        net: the open network.
        tasks: of the bank.
        reporter: gets the note.
        unread: names of tasks that cannot be read: nobody knows whether these have changed.

    Raises:
        UsageError: a bank of edges.
        DeviceError: a device without float64.
        NoInputError: none have been encoded.
        BankError: their file cannot be read.
    """
    bank = net.bank
    refuse_edges(bank.path, bank.record)
    if net.device.type == "mps":
        raise DeviceError(
            "--device mps: float32 at most found, expected float64, which attractors need",
            hint="use --device cpu",
        )
    found = read_attractors(bank.path, bank.record)
    if found is None:
        raise NoInputError(
            f"{bank.path / HOPFIELD_FILE}: no such file found, expected the attractors of "
            f"{len(tasks)} tasks",
            hint=encode_command(bank.path),
        )
    stored = found[0]
    known = [one for one in stored.tasks if one.task not in unread]
    stale = compare(known, map(pattern_record, tasks))
    if stale is not None:
        again = encode_command(bank.path, stored.rule)
        reporter.note(f"{bank.path / HOPFIELD_FILE} {stale.told}: {again}")
    return OpenAttractors(
        {name: torch.from_numpy(one).to(net.device) for name, one in stored.matrices.items()},
        {
            name: torch.from_numpy(one / len(stored.tasks)).to(net.device)
            for name, one in stored.sums.items()
        },
        len(stored.tasks),
    )


def pattern_record(task: Task) -> PatternRecord:
    """Name a task together with its digest, as attractors do."""
    return PatternRecord(task.content.task, task.content_sha256)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.0f} GB" if count >= 1e9 else f"{count / 1e9:.2g} GB"
