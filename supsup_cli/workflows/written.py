"""Tables in files, and an early check that they can be written: else all work would be lost."""

import csv
import errno
import os
from collections.abc import Iterable
from pathlib import Path

from supsup_cli.errors import StorageError, UsageError

__all__ = ["check_written", "write_rows"]


def check_written(csv: Path | None, plot: Path | None) -> None:
    """Refuse a table or picture that cannot be written, before anything is computed.

    Raises:
        StorageError: a folder has the name, or the file's folder is missing or not writable.
        UsageError: unknown kind of picture, the package that draws is not installed, or both are
            one file.
    """
    if csv is not None and plot is not None and csv.absolute() == plot.absolute():
        raise UsageError(f"--csv {csv} and --plot {plot}: one file found, expected two")
    for path in (csv, plot):
        reason = None if path is None else _reason(path)
        if reason is not None:
            raise StorageError(
                f"{path}: cannot be written ({os.strerror(reason)})",
                hint="make its folder, or choose another file",
            )
    if plot is not None:
        from supsup_cli.workflows.plots import check_plot

        check_plot(plot)


def write_rows(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write a table as CSV, into the file itself: it may be a pipe or a device.

    Raises:
        StorageError: the file cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror})") from error


def _reason(path: Path) -> int | None:
    """Return why a file cannot be written, as an errno; None if nothing seems to forbid it."""
    try:
        if path.is_dir():
            return errno.EISDIR
        if not path.parent.is_dir():
            return errno.ENOENT
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            return errno.EACCES
    except OSError as error:  # such as a name that is too long
        return error.errno
    return None
