"""Damage, told with the file's name and the invariant of FORMAT.md that the file breaks."""

from collections.abc import Iterator
from contextlib import contextmanager

from bank_format.errors import DamagedError

__all__ = ["damage"]


@contextmanager
def damage(name: str, invariant: str, *, hint: str = "") -> Iterator[None]:
    """Turn a ValueError about what a file says into a DamagedError.

    Args:
        name: the file's.
        invariant: which one it breaks, as "I4".
        hint: the next command to type or thing to do.

    Raises:
        DamagedError: in the place of the ValueError; its message begins with the name.
    """
    try:
        yield
    except ValueError as error:
        raise DamagedError(f"{name}: {error}", hint=hint, invariant=invariant) from error
