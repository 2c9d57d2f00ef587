"""The table that `evaluate --csv` writes: a row for each task, its shares and its confusion."""

import csv
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from supsup_cli.errors import StorageError
from supsup_cli.workflows.results.inference import EvaluateResult, Scores


def write_table(result: EvaluateResult, names: Sequence[str], path: Path) -> None:
    """Write a row for each task: name, images, shares 0…1, images said to be of each task.

    A file that is there is replaced, as by `stats --plot`.

    Args:
        result: what was measured.
        names: all tasks that competed, a column for each.
        path: where to.

    Raises:
        StorageError: the file cannot be written.
    """
    shares = [field.name for field in fields(Scores)]
    counts = {(one.task, one.named): one.images for one in result.confusion}
    rows = [
        [
            one.task,
            one.images,
            *(getattr(one, share) for share in shares),
            *(counts.get((one.task, name), 0) for name in names),
        ]
        for one in result.tasks
    ]
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["task", "images", *shares, *(f"named {name}" for name in names)])
            writer.writerows(rows)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror})") from error
