r"""Names of tasks and classes as names of folders, by a rule that can be undone.

Banks come from others, and a class may be called anything: "../x", "a/b", "CON:", 4,096 letters.
The rule: a character that is not printable, or that some file system forbids in names (" * / : < >
? \ |), and the escape % itself, become %XX for each byte of their UTF-8. So do a dot, a dash and a
space at the beginning, and a dot and a space at the end. What is then longer than 200 bytes is cut
into folders within each other, each but the last ending in a lone %, which no escape does. So no
name leads upwards, is hidden, is taken for an option, or is too long, and two names never meet.
"""

from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

_MOST_BYTES: Final = 200  # of a folder's name; 255 are allowed, 143 where names are encrypted twice
_FORBIDDEN: Final = frozenset('%"*/:<>?\\|')
_NOT_FIRST: Final = frozenset(".- ")
_NOT_LAST: Final = frozenset(". ")
_CONTINUED: Final = "%"


def folder_parts(name: str) -> tuple[str, ...]:
    """Write a name as folders, each within the one before: one alone, unless it is very long.

    Args:
        name: any text.

    Returns:
        at least one name that a folder can have, of at most 201 bytes.
    """
    pieces = list(_pieces(name)) or [[]]
    parts = [_guarded(piece) + _CONTINUED for piece in pieces[:-1]]
    # the empty name needs some name too
    return (*parts, _guarded(pieces[-1]) or _CONTINUED)


def name_of(parts: Sequence[str]) -> str:
    """Read the name that `folder_parts` wrote.

    Args:
        parts: all that it returned, in order.

    Raises:
        ValueError: these bytes are no text, so the rule did not write them.
    """
    # "surrogatepass": names of files that are no UTF-8 hold lone surrogates
    escaped = "".join(part.removesuffix(_CONTINUED) for part in parts)
    return unquote_to_bytes(escaped.encode("utf-8", "surrogatepass")).decode(
        "utf-8", "surrogatepass"
    )


def _pieces(name: str) -> Iterator[list[str]]:
    """Cut a name into characters that take few enough bytes together, escapes included."""
    piece: list[str] = []
    size = 0
    for one in name:
        # the first and the last may have to be escaped where others need not: two bytes each
        length = len(_written(one).encode())
        if piece and size + length > _MOST_BYTES - 4:
            yield piece
            piece, size = [], 0
        piece.append(one)
        size += length
    if piece:
        yield piece


def _guarded(piece: Sequence[str]) -> str:
    """Escape what a piece must not begin or end with, and all that it must not hold."""
    last = len(piece) - 1
    return "".join(
        _escaped(one)
        if (place == 0 and one in _NOT_FIRST) or (place == last and one in _NOT_LAST)
        else _written(one)
        for place, one in enumerate(piece)
    )


def _written(one: str) -> str:
    return one if one.isprintable() and one not in _FORBIDDEN else _escaped(one)


def _escaped(one: str) -> str:
    return "".join(f"%{byte:02X}" for byte in one.encode("utf-8", "surrogatepass"))
