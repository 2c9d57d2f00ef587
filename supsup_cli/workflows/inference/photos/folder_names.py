r"""Turn names of tasks and classes into names of folders, by a rule that can be reversed.

Banks come from other people, and a class may have any name: "../x", "a/b", "CON:", 4,096 letters.
The rule: a character that is not printable, or that some file system forbids in names (" * / : < >
? \ |), and the escape % itself, become %XX for each byte of their UTF-8. So do a dot, a dash and a
space at the beginning, and a dot and a space at the end. A result of more than 200 bytes is cut
into nested folders; each but the last ends in a lone %, which no escape does. So no name leads
upwards, is hidden, looks like an option or is too long, and two names never become the same.
"""

from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

_MOST_BYTES: Final = 200  # bytes of a name; 255 are allowed, 143 if names are encrypted twice
_FORBIDDEN: Final = frozenset('%"*/:<>?\\|')
_NOT_FIRST: Final = frozenset(".- ")
_NOT_LAST: Final = frozenset(". ")
_CONTINUED: Final = "%"


def folder_parts(name: str) -> tuple[str, ...]:
    """Write a name as nested folders; just one folder, unless the name is very long.

    Args:
        name: any text.

    Returns:
        at least one name that a folder can have, of at most 201 bytes.
    """
    pieces = list(_pieces(name)) or [[]]
    parts = [_guarded(piece) + _CONTINUED for piece in pieces[:-1]]
    # an empty name needs a folder name too
    return (*parts, _guarded(pieces[-1]) or _CONTINUED)


def name_of(parts: Sequence[str]) -> str:
    """Read the name that `folder_parts` wrote.

    Args:
        parts: all that it returned, in order.

    Raises:
        ValueError: these bytes are not text, so the rule did not write them.
    """
    # "surrogatepass", because names of files that are not UTF-8 hold lone surrogates
    escaped = "".join(part.removesuffix(_CONTINUED) for part in parts)
    return unquote_to_bytes(escaped.encode("utf-8", "surrogatepass")).decode(
        "utf-8", "surrogatepass"
    )


def _pieces(name: str) -> Iterator[list[str]]:
    """Cut a name into pieces that are short enough, including escapes."""
    piece: list[str] = []
    size = 0
    for one in name:
        # the first and last character may need an escape that others do not: two bytes each
        length = len(_written(one).encode())
        if piece and size + length > _MOST_BYTES - 4:
            yield piece
            piece, size = [], 0
        piece.append(one)
        size += length
    if piece:
        yield piece


def _guarded(piece: Sequence[str]) -> str:
    """Escape what a piece must not begin or end with, and what it must not contain."""
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
