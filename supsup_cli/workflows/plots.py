"""Draw pictures of results; matplotlib is an extra and imported where it is used."""

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supsup_cli.errors import StorageError, UsageError
from supsup_cli.workflows.results.compare import CompareResult, Rows
from supsup_cli.workflows.results.inference import EvaluateResult

_MOST_NAMES = 20
_MOST_CONFUSED = 40  # largest number of rows and columns of a confusion
_MOST_NUMBERS = 12  # with more rows and columns, shares are not written out
_LONGEST_NAME = 24  # characters


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
    """Draw accuracy by task, which task is taken for which, and accuracy by group size.

    With more than 40 tasks, the 39 most often confused are drawn, and the others as one.

    Raises:
        UsageError: matplotlib is missing, or it does not know the file's format.
        StorageError: the file cannot be written.
    """
    confusion = task_confusion(result)
    widths = [6.0, max(5.0, 2.5 + 0.28 * len(confusion.columns)), *([6.0] * bool(result.by_group))]
    figure = _figure(path, (sum(widths), max(4.0, 1.5 + 0.28 * len(confusion.rows))))
    grid = figure.add_gridspec(1, len(widths), width_ratios=widths)
    by = f"{result.method} {result.objective}"
    axes = figure.add_subplot(
        grid[0], title=f"{by}, group {result.group}", xlabel="task", ylabel="share"
    )
    places = range(len(result.tasks))
    axes.plot(places, [one.accuracy_given for one in result.tasks], "o", label="task given")
    inferred = [one.accuracy_inferred for one in result.tasks]
    axes.plot(places, inferred, "x", label="task and class inferred")
    axes.legend()
    if len(result.tasks) <= _MOST_NAMES:
        axes.set_xticks(places, [one.task for one in result.tasks], rotation=90)
    _draw_confusion(figure, grid[1], confusion)
    if result.by_group:
        axes = figure.add_subplot(
            grid[2], title=by, xlabel="images that share a decision", ylabel="share"
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


@dataclass(frozen=True)
class Confusion:
    """Which tasks' images were taken for which tasks.

    Attributes:
        rows: names of the images' own tasks; the last may be "N others".
        columns: names of the tasks named, likewise.
        shares: (rows, columns) float64, share of a row's images; rows add up to 1.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    shares: NDArray[np.float64]


def task_confusion(result: EvaluateResult, most: int = _MOST_CONFUSED) -> Confusion:
    """Collect the confusion between tasks, with at most so many rows and columns.

    If there are more tasks, those with the most confused images have a row of their own, in the
    order of the evaluation; the others share one.
    """
    own = [one.task for one in result.tasks]
    names = list(dict.fromkeys([*own, *(one.named for one in result.confusion)]))
    wrong = Counter[str]()
    for one in result.confusion:
        if one.task != one.named:
            wrong[one.task] += one.images
            wrong[one.named] += one.images
    if len(names) > most:
        # a stable sort: of equally confused tasks the first ones are kept
        kept = set(sorted(names, key=lambda name: -wrong[name])[: most - 1])
    else:
        kept = set(names)
    rows, row_of = _gathered(own, kept)
    columns, column_of = _gathered(names, kept)
    counts = np.zeros((len(rows), len(columns)))
    for one in result.confusion:
        counts[row_of[one.task], column_of[one.named]] += one.images
    return Confusion(rows, columns, counts / counts.sum(axis=1, keepdims=True))


def plot_recoveries(
    panels: Sequence[tuple[str, NDArray[np.int64]]], tasks: Sequence[str], bits: int, path: Path
) -> None:
    """Draw how the recovered mask approaches a stored one, with a panel for each group.

    Args:
        panels: name of the group, and (steps, T) bits from each task's mask at each step.
        tasks: T names.
        bits: of a mask.
        path: file to write.

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


def _gathered(names: Sequence[str], kept: set[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Map each name to its place: its own, or the last one if it is not kept."""
    alone = [name for name in names if name in kept]
    others = len(names) - len(alone)
    places = {name: place for place, name in enumerate(alone)}
    shown = (*alone, f"{others} others") if others else tuple(alone)
    return shown, {name: places.get(name, len(alone)) for name in names}


def _draw_confusion(figure: Any, place: Any, confusion: Confusion) -> None:
    axes = figure.add_subplot(
        place, title="Which task is taken for which", xlabel="named", ylabel="task"
    )
    drawn = axes.imshow(confusion.shares, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    figure.colorbar(drawn, fraction=0.05, label="share of the task's images")
    for names, set_ticks, rotation in (
        (confusion.columns, axes.set_xticks, 90),
        (confusion.rows, axes.set_yticks, 0),
    ):
        set_ticks(range(len(names)), [_brief(name) for name in names], rotation=rotation)
    axes.tick_params(labelsize=10 if len(confusion.columns) <= _MOST_NAMES else 8)
    if len(confusion.columns) > _MOST_NUMBERS:
        return
    for (row, column), share in np.ndenumerate(confusion.shares):
        if share > 0:
            ink = "white" if share > 0.5 else "black"
            text = f"{100 * share:.0f} %" if share >= 0.01 else "< 1 %"
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=8)


def _brief(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 9]}…{name[-8:]}"


def _figure(path: Path, inches: tuple[float, float]) -> Any:  # matplotlib has no types here
    try:
        from matplotlib.figure import Figure
    except OSError as error:  # it keeps a cache, if necessary in a temporary folder
        raise StorageError(
            f"--plot {path}: matplotlib has no folder to write to ({str(error).splitlines()[0]})",
            hint="set TMPDIR to a folder that can be written",
        ) from error
    except ImportError as error:
        raise UsageError(
            f"--plot {path}: matplotlib is not installed", hint="pip install 'supsup[plot]'"
        ) from error
    return Figure(figsize=inches, layout="constrained")


def check_plot(path: Path) -> None:
    """Draw nothing, in memory, as a picture of that name would be drawn.

    Raises:
        UsageError: no picture has such an ending, or matplotlib is not installed.
        StorageError: matplotlib has no folder to write to.
    """
    try:
        _figure(path, (1, 1)).savefig(io.BytesIO(), format=path.suffix[1:] or None)
    except ValueError as error:
        raise UsageError(f"--plot {path}: {error}") from error


def _save(figure: Any, path: Path) -> None:
    try:
        figure.savefig(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror})") from error
    except ValueError as error:
        raise UsageError(f"--plot {path}: {error}") from error
