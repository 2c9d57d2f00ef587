"""Pictures of results; matplotlib is an extra and imported where it is used."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from supsup_cli.errors import StorageError, UsageError


def plot_overlaps(
    tasks: Sequence[str], pairs: Sequence[tuple[str, str, float]], path: Path
) -> None:
    """Draw the share of equal bits of every pair of masks as a coloured square.

    Raises:
        UsageError: matplotlib is missing, or it does not know the file's format.
        StorageError: the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            f"--plot {path}: matplotlib is not installed", hint="pip install 'supsup[plot]'"
        ) from error
    place = {task: index for index, task in enumerate(tasks)}
    equal = np.eye(len(tasks))
    for one, other, share in pairs:
        equal[place[one], place[other]] = equal[place[other], place[one]] = share
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.add_subplot(title="Share of equal bits", xlabel="task", ylabel="task")
    figure.colorbar(axes.imshow(equal, vmin=0, vmax=1))
    if len(tasks) <= 20:
        axes.set_xticks(range(len(tasks)), tasks, rotation=90)
        axes.set_yticks(range(len(tasks)), tasks)
    try:
        figure.savefig(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror})") from error
    except ValueError as error:
        raise UsageError(f"--plot {path}: {error}") from error
