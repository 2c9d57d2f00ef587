"""Values that are decoded once: most of what the tasks of a bank say, they all say alike."""

from collections.abc import Callable

from bank_format.encoding.canonical_json import Json

__all__ = ["remembered"]

# Values that are remembered, of one kind, and the characters that one may have: a bound on memory.
_MOST, _LARGEST = 256, 4096


def remembered(decode: Callable[[Json], object]) -> Callable[[Json], object]:
    """Decode equal values once, so that they share what it gives, which nobody may change.

    What `repr` writes tells 1 from 1.0 and from true, as `==` does not.

    Args:
        decode: of a list or an object, never to None; what it refuses is not remembered.
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
