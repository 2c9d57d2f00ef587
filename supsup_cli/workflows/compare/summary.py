"""Turn matrices of accuracies into the rows of the answer and the file of `--csv`."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from supsup_cli.baselines.metrics import Matrix, measures
from supsup_cli.workflows.compare.rates import ChosenRates
from supsup_cli.workflows.compare.run import Run
from supsup_cli.workflows.compare.systems import Entry
from supsup_cli.workflows.results.compare import (
    ComparedMethod,
    CompareResult,
    RateChoice,
    Rows,
    SeedRun,
)
from supsup_cli.workflows.written import write_rows


def summed_up(
    entry: Entry,
    chosen: ChosenRates,
    runs: Sequence[Run],
    chances: Sequence[float],
    first_seed: int,
) -> list[ComparedMethod]:
    """Sum up the runs of a method: a row for each scenario that it answers.

    Args:
        entry: the method.
        chosen: its rates.
        runs: of each seed.
        chances: accuracy of guessing, for each task.
        first_seed: seed of the first run; the others count up from it.
    """
    return [
        _row(entry, scenario, chosen, runs, chances, first_seed) for scenario in runs[0].matrices
    ]


def _row(
    entry: Entry,
    scenario: str,
    chosen: ChosenRates,
    runs: Sequence[Run],
    chances: Sequence[float],
    first_seed: int,
) -> ComparedMethod:
    matrices = [next(m for name, m in run.matrices.items() if name == scenario) for run in runs]
    seeds = tuple(
        SeedRun(
            seed=first_seed + place,
            **asdict(measures(matrix, np.array(chances))),
            bytes=run.bytes,
            seconds=run.seconds,
            matrix=_rows(matrix),
        )
        for place, (run, matrix) in enumerate(zip(runs, matrices, strict=True))
    )
    accuracies = [seed.accuracy for seed in seeds]
    return ComparedMethod(
        method=entry.name,
        scenario=scenario,
        meaning=entry.meaning,
        source=entry.source,
        spread=float(np.std(accuracies, ddof=1)) if len(seeds) > 1 else None,
        accuracy=float(np.mean(accuracies)),
        accuracy_over_time=float(np.mean([seed.accuracy_over_time for seed in seeds])),
        forgetting=_mean([seed.forgetting for seed in seeds]),
        forgetting_since_learned=_mean([seed.forgetting_since_learned for seed in seeds]),
        backward_transfer=_mean([seed.backward_transfer for seed in seeds]),
        forward_transfer=_mean([seed.forward_transfer for seed in seeds]),
        bytes=round(float(np.mean([run.bytes for run in runs]))),
        seconds=float(np.mean([run.seconds for run in runs])),
        matrix=_rows(np.mean(matrices, axis=0)),
        rates=RateChoice(
            chosen.first,
            chosen.later,
            entry.rates.first,
            entry.rates.later,
            chosen.trials,
            chosen.at_edge,
        ),
        seeds=seeds,
    )


def write_matrices(result: CompareResult, path: Path) -> None:
    """Write a line for each measured accuracy R[i, j], by method, scenario and seed.

    Raises:
        StorageError: the file cannot be written.
    """
    rows = [
        [method.method, method.scenario, seed.seed, after, task, share]
        for method in result.methods
        for seed in method.seeds
        for after, row in enumerate(seed.matrix, start=1)
        for task, share in zip(result.tasks, row, strict=True)
        if share is not None
    ]
    write_rows(path, [["method", "scenario", "seed", "after", "task", "accuracy"], *rows])


def _rows(matrix: Matrix) -> Rows:
    return tuple(
        tuple(None if math.isnan(share) else share for share in row) for row in matrix.tolist()
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
