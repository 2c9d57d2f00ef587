"""Names: of tasks, which become file names, and of parameters, which become tensor names."""

import re
from collections.abc import Sequence

from bank_format.errors import BadNameError

__all__ = [
    "check_digest",
    "check_parameter_name",
    "check_task_name",
    "check_text",
    "check_texts",
    "few_of",
    "is_task_name",
    "shortened",
]

_FEW = 5
_LONGEST = 4096  # characters of a text

_TASK_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def is_task_name(name: str) -> bool:
    """Return whether a text can be a task's name: [a-z0-9][a-z0-9._-]{0,63}, matched in full."""
    return _TASK_NAME.fullmatch(name) is not None


def check_task_name(name: str) -> str:
    """Return the name if a task can have it.

    Raises:
        BadNameError: it cannot; the hint says which names can.
    """
    if not is_task_name(name):
        raise BadNameError(
            f"task name {name[:80]!r} found, expected [a-z0-9][a-z0-9._-]{{0,63}}",
            hint="choose 1 to 64 of a-z 0-9 . _ - with a letter or digit first, as in --name dogs",
        )
    return name


def check_parameter_name(name: str) -> None:
    """Refuse a parameter or statistics name that cannot be part of a tensor's name.

    Raises:
        ValueError: it is not 1 to 200 of A-Z a-z 0-9 . _ -
    """
    if not _PARAMETER_NAME.fullmatch(name):
        raise ValueError(f"name {name[:80]!r} found, expected 1 to 200 of A-Z a-z 0-9 . _ -")


def check_digest(digest: str) -> None:
    """Refuse a text that is not a SHA-256.

    Raises:
        ValueError: it is not 64 lower-case hexadecimal digits.
    """
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"digest {digest[:80]!r} found, expected 64 lower-case hex digits")


def check_text(text: str) -> None:
    """Refuse a text that would not fit on one line of a terminal.

    Raises:
        ValueError: it holds control characters, or more than 4,096 characters.
    """
    # None of these is printable, so that most texts need no search.
    if len(text) > _LONGEST or (not text.isprintable() and _CONTROL.search(text)):
        raise ValueError(f"text {text[:80]!r} found, expected no control characters, at most 4096")


def check_texts(texts: Sequence[str]) -> None:
    """Refuse texts of which one would not fit on one line of a terminal, many at once.

    Raises:
        ValueError: see `check_text`.
    """
    if max(map(len, texts), default=0) > _LONGEST or not "".join(texts).isprintable():
        for text in texts:
            check_text(text)


def few_of(names: Sequence[str]) -> str:
    """Format the first names for a message, quoted, and how many more there are."""
    more = len(names) - _FEW
    return ", ".join(map(repr, names[:_FEW])) + (f" and {more} more" if more > 0 else "")


def shortened(value: object, most: int) -> str:
    """Format a value for a message, in at most so many characters."""
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}…"
