"""The standard streams of a process, which may be closed, or a narrow terminal."""

import io
import os
import sys
from typing import TextIO

_WIDTH = 80  # characters of a terminal that does not report its width


class ClosedStdout(io.TextIOWrapper):
    """Replaces a stdout that was closed from the start; what is written there is lost."""

    def __init__(self) -> None:
        super().__init__(open(os.devnull, "wb"), encoding="utf-8")  # noqa: PTH123, SIM115


def prepare_streams() -> None:
    """Replace closed streams by empty ones, and let stdin hold any bytes of file names."""
    if sys.stdin is None:
        sys.stdin = io.StringIO()
    elif isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # as Python reads file names
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as Python sets stderr
    if sys.stdout is None:
        sys.stdout = ClosedStdout()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


def terminal_width(stream: TextIO) -> int | None:
    """Return the terminal's width in characters, from COLUMNS if set; None without one."""
    if not stream.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or _WIDTH
    except OSError:
        return _WIDTH


def takes_styles(stream: TextIO) -> bool:
    """Return whether a table's head may be bold: the terminal can, and NO_COLOR is not set."""
    dumb = os.environ.get("TERM", "").lower() in ("", "dumb", "unknown")
    return stream.isatty() and not dumb and not os.environ.get("NO_COLOR")
