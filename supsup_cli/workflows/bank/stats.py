"""`stats`: count what a bank holds; compare other ways to keep as many tasks. Without torch."""

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bank_format.bank import Bank
from bank_format.disk.files import size_of
from bank_format.disk.stores import Place
from bank_format.encoding.bits import count_digits, count_ones_of_each, counted_overlaps, distance
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.mask import Task
from bank_format.store.layout import BANK_FILE, BASE_FILE, HOPFIELD_FILE
from supsup_cli.errors import UsageError
from supsup_cli.workflows.results.bank import Rivals, StatsResult, StoredBytes, TaskStats


def stats(path: Place, *, overlaps: bool, plot: Path | None) -> StatsResult:
    """Measure a bank.

    Args:
        path: the bank's folder.
        overlaps: also compare every pair of tasks.
        plot: where to write a picture of the overlaps; None for none.

    Raises:
        BankError: the bank or a task cannot be read.
        UsageError, StorageError: the picture cannot be drawn or written.
    """
    bank = Bank.open(path)
    record = bank.record
    tasks, packed = bank.read_tasks()
    pairs = _pairs(record, tasks, packed) if overlaps or plot else ()
    if plot is not None:
        from supsup_cli.workflows.plots import plot_overlaps

        if not tasks:
            raise UsageError(f"--plot {plot}: 0 tasks found, expected at least one")

        plot_overlaps([task.content.task for task in tasks], pairs, plot)
    masked = sum(one.count for one in record.masked)
    kept = count_ones_of_each(packed).tolist()
    sizes = [task.bytes_on_disk for task in tasks]
    base, hopfield = (
        sum(size_of(path / name) for name in names if (path / name).exists())
        for names in ((BANK_FILE, BASE_FILE), (HOPFIELD_FILE,))
    )
    return StatsResult(
        tasks=len(tasks),
        parameters=record.weights,
        bytes=StoredBytes(base, sum(sizes), hopfield, base + sum(sizes) + hopfield),
        bits_per_weight=8 * sum(sizes) / (masked * len(tasks)) if tasks else 0.0,
        per_task=tuple(
            TaskStats(
                task=task.content.task,
                kind=task.content.kind,
                bytes=task.bytes_on_disk,
                density=ones / masked,
                accuracy=task.accuracy,
                created=task.provenance.created,
                overlap=share,
            )
            for task, ones, share in zip(
                tasks, kept, _overlaps_with_mean(packed, kept), strict=True
            )
        ),
        rivals=Rivals(
            float_scores=4 * masked * len(tasks),
            networks=4 * record.weights * len(tasks),
            dense_hidden=_dense_hidden(record, sizes),
        ),
        overlaps=pairs if overlaps else (),
        plot=None if plot is None else str(plot),
    )


def _overlaps_with_mean(packed: NDArray[np.uint8], kept: Sequence[int]) -> list[float]:
    """For each mask, average the mean mask over the weights that it keeps: shares, 0…1.

    The mean mask is a few packed arrays, the binary digits of a count for each weight. So nothing
    is unpacked, and memory does not grow with the number of tasks.
    """
    counted = counted_overlaps(packed, count_digits(packed)).tolist()
    return [
        part / (ones * len(packed)) if ones else 0.0
        for part, ones in zip(counted, kept, strict=True)
    ]


def _pairs(
    record: BankRecord, tasks: Sequence[Task], packed: NDArray[np.uint8]
) -> tuple[tuple[str, str, float], ...]:
    masked = sum(one.count for one in record.masked)
    rows = list(zip((task.content.task for task in tasks), packed, strict=True))
    return tuple(
        (name, other, 1 - distance(mask, its) / masked)
        for (name, mask), (other, its) in combinations(rows, 2)
    )


def _dense_hidden(record: BankRecord, sizes: Sequence[int]) -> int:
    if not sizes:
        return 0
    inputs = math.prod(record.input.shape)
    return int(np.mean(sizes)) // (4 * (inputs + record.real_outputs))
