"""How `strict_json` refuses a value: each caller adds its step to the path on the way out.

Nothing is put together for the values that are in order, which a large bank has millions of.
"""

from bank_format.encoding.canonical_json import Json

__all__ = ["RefusedError", "wrong"]


class RefusedError(Exception):
    """A value was refused.

    Args:
        text: what was wrong.
        where: ".key" or "[index]" for each step that leads there from the value at hand.
        named: whether the message needs a name of the value, even at the top.
    """

    def __init__(self, text: str, where: str = "", *, named: bool = False) -> None:
        super().__init__(text)
        self._text = text
        self._named = named
        self._where = where

    def under(self, step: str) -> "RefusedError":
        """Add the step that leads to the value so far, ".key" or "[index]"."""
        self._where = step + self._where
        return self

    def told(self, path: str) -> str:
        """Give the message, with the keys that lead to the value at the top; they may be empty."""
        whole = path + self._where if path else self._where.removeprefix(".")
        if not whole and self._named:
            whole = "value"
        return f"{whole}: {self._text}" if whole else self._text


def wrong(value: Json, expected: str) -> RefusedError:
    """Refuse a value of another type: what was found, in 60 characters, and what was expected."""
    found = repr(value)
    if len(found) > 60:
        found = f"{found[:60]}…"
    return RefusedError(f"{found} found, expected {expected}", named=True)
