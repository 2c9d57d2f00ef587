"""Report damage with the file's name and the invariant of FORMAT.md that the file breaks."""

from types import TracebackType

from bank_format.errors import DamagedError

__all__ = ["damage"]


class damage:  # noqa: N801 - a context manager: the standard library writes those like functions
    """Turn a ValueError about what a file says into a DamagedError.

    It is a class for speed, because a bank of thousands of tasks enters it six times for each.

    Args:
        name: the file's name.
        invariant: the one it breaks, such as "I4".
        hint: the next command to type or thing to do.

    Raises:
        DamagedError: instead of the ValueError; its message begins with the name.
    """

    __slots__ = ("_hint", "_invariant", "_name")

    def __init__(self, name: str, invariant: str, *, hint: str = "") -> None:
        self._name = name
        self._invariant = invariant
        self._hint = hint

    def __enter__(self) -> None:
        """Watch what follows."""

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Raise an error that names the file if a ValueError came."""
        if isinstance(error, ValueError):
            raise DamagedError(
                f"{self._name}: {error}", hint=self._hint, invariant=self._invariant
            ) from error
