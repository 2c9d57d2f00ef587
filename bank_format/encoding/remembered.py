"""Decode equal values once: most values in a bank's task files are equal."""

from collections.abc import Callable

from bank_format.encoding.canonical_json import Json

__all__ = ["remembered"]

# Remembered values of one kind, and characters of one value, at most: this bounds memory.
_MOST, _LARGEST = 256, 4096


def remembered(decode: Callable[[Json], object]) -> Callable[[Json], object]:
    """Decode equal values once, so that they share the result, which must not be changed.

    Values are compared by `repr`, which distinguishes 1, 1.0 and true, unlike `==`.

    Args:
        decode: decodes a list or an object, never to None; refused values are not remembered.
    """
    known: dict[str, object] = {}

    def decode_once(value: Json) -> object:
        key = repr(value)
        found = known.get(key)
        if found is not None:
            return found
        decoded = decode(value)
        if len(key) <= _LARGEST:
            if len(known) == _MOST:
                known.clear()
            known[key] = decoded
        return decoded

    return decode_once
