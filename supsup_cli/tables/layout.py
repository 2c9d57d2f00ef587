"""Lay tables out as text: whole rows for pipes, unbroken names and digests on narrow terminals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from supsup_cli.printable import printable

_GAP = 2  # spaces between two columns
_INDENT = 4  # for the rest of a row
# If the last column has fewer characters than this, its words are not set under one another.
_LEAST_TEXT = 24


@dataclass(frozen=True)
class Table:
    """Rows under a head; every cell is one line, whatever its content.

    Attributes:
        head: titles of the columns.
        rows: each with as many cells.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def laid_out(table: Table, width: int | None) -> Iterator[str]:
    """Lay a table out, its head first.

    A row that is too wide for the terminal continues on further lines; the words of its last column
    are set under one another if there is room next to the others. Lines break only at spaces, so a
    wide cell without a space stays whole.

    Args:
        table: numbers are aligned to the right.
        width: characters of a line; None for a pipe, where each row is one line.
    """
    lines = [[printable(cell) for cell in row] for row in (table.head, *table.rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    right = [_is_numbers(column[1:]) for column in zip(*lines, strict=True)]
    if width is not None and sum(widths) + _GAP * (len(widths) - 1) > width:
        last = _room_for_text([line[-1] for line in lines], widths, width)
        if last is not None:
            widths[-1] = last
    parts = [range(len(widths))] if width is None else list(_parts(widths, width))
    for line in lines:
        for place, part in enumerate(parts):
            cells = [_set(line[one], widths[one], right=right[one]) for one in part]
            indent = " " * (_INDENT if place else 0)
            start = indent + "".join(cell + " " * _GAP for cell in cells[:-1])
            room = None if width is None else width - _width(start)
            for text in _wrapped(cells[-1].rstrip(), room):
                yield (start + text).rstrip()
                start = " " * _width(start)


def _width(text: str) -> int:
    """Return the columns that a printable text takes on a terminal."""
    return len(text) if text.isascii() else cell_len(text)


def _set(cell: str, width: int, *, right: bool) -> str:
    room = " " * (width - _width(cell))
    return room + cell if right else cell + room


def _is_numbers(cells: Sequence[str]) -> bool:
    return all(cell[:1].isdigit() or cell == "-" for cell in cells)


def _room_for_text(cells: Sequence[str], widths: Sequence[int], width: int) -> int | None:
    """Return the width left for a last column of words; None if that is too little."""
    left = width - sum(widths[:-1]) - _GAP * (len(widths) - 1)
    longest = max(_width(word) for cell in cells for word in cell.split(" "))
    return left if left >= max(longest, _LEAST_TEXT) else None


def _parts(widths: Sequence[int], width: int) -> Iterator[range]:
    """Split the columns into lines that fit the terminal, with at least one column each."""
    first, taken = 0, widths[0]
    for column, one in enumerate(widths[1:], start=1):
        taken += _GAP + one
        if taken > width:
            yield range(first, column)
            first, taken = column, _INDENT + one
    yield range(first, len(widths))


def _wrapped(text: str, width: int | None) -> Iterator[str]:
    """Break a text at spaces into lines of a width; a longer word stays whole."""
    if width is None:
        yield text
        return
    line, *words = text.split(" ")
    for word in words:
        if line and _width(line) + 1 + _width(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}"
    yield line
