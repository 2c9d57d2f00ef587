"""`stats`: count what a bank holds; compare other ways to keep as many tasks. Without torch."""

import math
from collections.abc import Sequence
from itertools import combinations, starmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bank_format.bank import Bank
from bank_format.disk.files import size_of
from bank_format.disk.stores import Place
from bank_format.encoding.bits import count_digits, count_ones_of_each, counted_overlaps, distance
from bank_format.index.known import list_rows
from bank_format.kinds.bank_json import BankRecord
from bank_format.store.layout import BANK_FILE, BASE_FILE, HOPFIELD_FILE
from bank_format.store.tasks import many_objects
from supsup_cli.errors import UsageError
from supsup_cli.workflows.results.bank import Rivals, StatsResult, StoredBytes, TaskStats
from supsup_cli.workflows.results.common import LeftOutTask


@many_objects()
def stats(path: Place, *, overlaps: bool, plot: Path | None) -> StatsResult:
    """Measure a bank, as the index has its tasks, or their files.

    A task whose file has to be read, and cannot be, is left out. For pairs all are read.

    Args:
        path: the bank's folder.
        overlaps: also compare every pair of tasks.
        plot: where to write a picture of the overlaps; None for none.

    Raises:
        BankError: the bank, or for pairs a task, cannot be read.
        UsageError, StorageError: the picture cannot be drawn or written.
    """
    bank = Bank.open(path)
    record = bank.record
    rows, failed = list_rows(bank)
    pairs = _pairs(bank) if overlaps or plot else ()
    if plot is not None:
        from supsup_cli.workflows.plots import plot_overlaps

        if not rows:
            raise UsageError(f"--plot {plot}: 0 tasks found, expected at least one")

        plot_overlaps(sorted({name for pair in pairs for name in pair[:2]} or rows), pairs, plot)
    masked = sum(one.count for one in record.masked)
    sizes = rows.numbers["file"][:, 0].tolist()
    base, hopfield = (
        sum(size_of(path / name) for name in names if (path / name).exists())
        for names in ((BANK_FILE, BASE_FILE), (HOPFIELD_FILE,))
    )
    shares = _overlaps_with_mean(rows.samples)
    return StatsResult(
        tasks=len(rows),
        parameters=record.weights,
        bytes=StoredBytes(base, sum(sizes), hopfield, base + sum(sizes) + hopfield),
        bits_per_weight=8 * sum(sizes) / (masked * len(rows)) if rows else 0.0,
        per_task=tuple(
            starmap(
                TaskStats,
                zip(
                    rows.names,
                    rows.kinds,
                    sizes,
                    (rows.numbers["ones"] / masked).tolist(),
                    rows.accuracies,
                    rows.created,
                    shares,
                    strict=True,
                ),
            )
        ),
        rivals=Rivals(
            float_scores=4 * masked * len(rows),
            networks=4 * record.weights * len(rows),
            dense_hidden=_dense_hidden(record, sizes),
        ),
        overlaps=pairs if overlaps else (),
        plot=None if plot is None else str(plot),
        left_out=tuple(
            LeftOutTask(name, error.message, error.exit_code) for name, error in failed.items()
        ),
    )


def _overlaps_with_mean(packed: NDArray[np.uint8]) -> list[float]:
    """For each mask, average the mean mask over the weights that it keeps: shares, 0…1.

    The mean mask stays a few packed arrays, the binary digits of a count for each weight, so that
    nothing is unpacked and memory does not grow with the number of tasks.

    Args:
        packed: the same bytes of each packed mask, (T, S).
    """
    if not len(packed):
        return []
    counted = counted_overlaps(packed, count_digits(packed)).tolist()
    kept = count_ones_of_each(packed).tolist()
    return [
        part / (ones * len(packed)) if ones else 0.0
        for part, ones in zip(counted, kept, strict=True)
    ]


def _pairs(bank: Bank) -> tuple[tuple[str, str, float], ...]:
    """Compare every pair of masks in full: two tasks, and the share of equal bits."""
    masked = sum(one.count for one in bank.record.masked)
    tasks, packed = bank.read_tasks()
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
