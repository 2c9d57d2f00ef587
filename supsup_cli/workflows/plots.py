"""Pictures of results; matplotlib is an extra and imported where it is used."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supsup_cli.errors import StorageError, UsageError
from supsup_cli.workflows.results.compare import CompareResult, Rows
from supsup_cli.workflows.results.inference import EvaluateResult

_MOST_NAMES = 20


def plot_overlaps(
    tasks: Sequence[str], pairs: Sequence[tuple[str, str, float]], path: Path
) -> None:
    """Draw the share of equal bits of every pair of masks as a coloured square.

    Raises:
        UsageError: matplotlib is missing, or it does not know the file's format.
        StorageError: the file cannot be written.
    """
    figure = _figure(path, (6, 5))
    place = {task: index for index, task in enumerate(tasks)}
    equal = np.eye(len(tasks))
    for one, other, share in pairs:
        equal[place[one], place[other]] = equal[place[other], place[one]] = share
    axes = figure.add_subplot(title="Share of equal bits", xlabel="task", ylabel="task")
    figure.colorbar(axes.imshow(equal, vmin=0, vmax=1))
    if len(tasks) <= _MOST_NAMES:
        axes.set_xticks(range(len(tasks)), tasks, rotation=90)
        axes.set_yticks(range(len(tasks)), tasks)
    _save(figure, path)


def plot_evaluation(result: EvaluateResult, path: Path) -> None:
    """Draw the accuracy of each task, and where they were compared, of each size of groups.

    Raises:
        UsageError: matplotlib is missing, or it does not know the file's format.
        StorageError: the file cannot be written.
    """
    panels = 2 if result.by_group else 1
    figure = _figure(path, (6 * panels, 4))
    by = f"{result.method} {result.objective}"
    axes = figure.add_subplot(
        1, panels, 1, title=f"{by}, group {result.group}", xlabel="task", ylabel="share"
    )
    places = range(len(result.tasks))
    axes.plot(places, [one.accuracy_given for one in result.tasks], "o", label="task given")
    inferred = [one.accuracy_inferred for one in result.tasks]
    axes.plot(places, inferred, "x", label="task and class inferred")
    axes.legend()
    if len(result.tasks) <= _MOST_NAMES:
        axes.set_xticks(places, [one.task for one in result.tasks], rotation=90)
    if result.by_group:
        axes = figure.add_subplot(
            1, panels, 2, title=by, xlabel="images that share a decision", ylabel="share"
        )
        sizes = [one.group for one in result.by_group]
        right = [one.task_accuracy for one in result.by_group]
        axes.plot(sizes, right, "o-", label="task right")
        both = [one.accuracy_inferred for one in result.by_group]
        axes.plot(sizes, both, "x-", label="task and class right")
        axes.axhline(result.mean.accuracy_given, linestyle=":", label="task given")
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.legend()
    _save(figure, path)


def plot_recoveries(
    panels: Sequence[tuple[str, NDArray[np.int64]]], tasks: Sequence[str], bits: int, path: Path
) -> None:
    """Draw how the recovered mask comes near a stored one, a panel for each group of images.

    Args:
        panels: name of the group, and (steps, T) bits from each task's mask at each step.
        tasks: T names.
        bits: of a mask.
        path: where to.

    Raises:
        UsageError: matplotlib is missing, or it does not know the file's format.
        StorageError: the file cannot be written.
    """
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = _figure(path, (5 * columns, 3.5 * rows))
    for place, (source, trace) in enumerate(panels, start=1):
        axes = figure.add_subplot(
            rows, columns, place, title=source, xlabel="step", ylabel="share of bits that differ"
        )
        nearest = trace.min(0).argsort()[:_MOST_NAMES]
        for task, name in enumerate(tasks):
            steps = range(1, len(trace) + 1)
            axes.plot(steps, trace[:, task] / bits, label=name if task in nearest else None)
        axes.set_ylim(bottom=0)
        axes.legend(fontsize="small")
    _save(figure, path)


def plot_comparison(result: CompareResult, path: Path) -> None:
    """Draw each method's mean accuracy on the tasks so far against the tasks learned.

    As in Figures 2 to 6 of Wortsman et al. 2020.

    Raises:
        UsageError: matplotlib is missing, or it does not know the file's format.
        StorageError: the file cannot be written.
    """
    figure = _figure(path, (7, 4.5))
    axes = figure.add_subplot(xlabel="tasks learned", ylabel="mean accuracy on them")
    learned = range(1, len(result.tasks) + 1)
    for one in result.methods:
        curves = np.array(
            [
                [np.mean(row[: place + 1]) for place, row in enumerate(_known(seed.matrix))]
                for seed in one.seeds
            ]
        )
        mean, label = curves.mean(0), f"{one.method} ({one.scenario})"
        (line,) = axes.plot(learned, mean, ".-", label=label)
        if len(curves) > 1:
            spread = curves.std(0, ddof=1)
            axes.fill_between(
                learned, mean - spread, mean + spread, color=line.get_color(), alpha=0.2
            )
    axes.legend(fontsize="small")
    _save(figure, path)


def _known(matrix: Rows) -> list[list[float]]:
    return [[np.nan if share is None else share for share in row] for row in matrix]


def _figure(path: Path, inches: tuple[float, float]) -> Any:  # matplotlib has no types here
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            f"--plot {path}: matplotlib is not installed", hint="pip install 'supsup[plot]'"
        ) from error
    return Figure(figsize=inches, layout="constrained")


def _save(figure: Any, path: Path) -> None:
    try:
        figure.savefig(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror})") from error
    except ValueError as error:
        raise UsageError(f"--plot {path}: {error}") from error
