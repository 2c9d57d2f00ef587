"""Change valid files a little, so that a parser gets far before it meets the error."""

import copy
import json
import random
from hashlib import sha256
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63 - 1, 2**63, -(2**63), 10**30, 0.0, -0.0, 0.5,
    1e308, "", "a", "mask", "base", "state", "rice", "packed", "../x", "\x1b[31m", "\u202e",
    "x" * 5000, "0" * 64, "é" * 65, [], {}, [[[[]]]], {"a": {"b": {}}}, [0] * 300,
    {"coding": "packed"}, {"coding": "rice", "k": 0, "ones": 0}, {"coding": "rice", "k": 99},
)  # fmt: skip


def changed_json(source: random.Random, value: Any) -> Any:
    """Return a JSON value with one to three places changed."""
    value = copy.deepcopy(value)
    for _ in range(source.choice([1, 1, 1, 2, 3])):
        places = list(_places(value))
        if not places:
            return copy.deepcopy(source.choice(ODD))
        holder, key = source.choice(places)
        _change(source, holder, key)
    return value


def changed_bytes(source: random.Random, data: bytes, *, same_length: bool = False) -> bytes:
    """Return bytes with one to four places changed."""
    changed = bytearray(data)
    for _ in range(source.choice([1, 1, 2, 4])):
        place = source.randrange(len(changed) + 1)
        match source.randrange(2 if same_length else 6):
            case 0:
                changed[place : place + 1] = source.randbytes(len(changed[place : place + 1]))
            case 1:
                changed[place : place + 1] = bytes(len(changed[place : place + 1]))
            case 2:
                changed[place:place] = source.choice(
                    [source.randbytes(9), b"[" * 9999, b"9" * 5000]
                )
            case 3:
                del changed[place : place + source.choice([1, 8, 100])]
            case 4:
                changed[place:place] = changed[place : place + 40]
            case 5:
                changed[:8] = source.choice([0, 7, len(changed), 2**23, 2**63]).to_bytes(
                    8, "little"
                )
    return bytes(changed)


def parted(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Split a sealed file into its header and the bytes of its tensors, including the seal."""
    start = 8 + int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8:start])
    return header, data[start:]


def joined(header: str, body: bytes) -> bytes:
    """Make a sealed file from a header's text and the bytes of its tensors; the seal is right."""
    text = header.encode("utf-8", "surrogatepass")
    return resealed(len(text).to_bytes(8, "little") + text + body[:-32])


def resealed(data: bytes) -> bytes:
    """Append the seal."""
    return data + sha256(data).digest()


def _places(value: Any) -> Any:
    """Yield each place of a JSON value as its holder and key or index."""
    if isinstance(value, dict):
        items = list(value.items())
    else:
        items = list(enumerate(value)) if isinstance(value, list) else []
    for key, item in items:
        yield value, key
        yield from _places(item)


def _change(source: random.Random, holder: Any, key: Any) -> None:
    match source.randrange(7):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[source.choice(["a", "task", "kind", "name", "é", key + " "])] = holder[key]
        case 1 | 2 if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        case 3 if isinstance(holder[key], int | float):
            holder[key] = holder[key] * source.choice([-1, 2, 10, 2**20]) + source.choice(
                [-1, 0, 1]
            )
        case 4 if isinstance(holder[key], str):
            place = source.randrange(len(holder[key]) + 1)
            more = source.choice(["a", "\0", "\n", "\u2028", "0", "/", "\ud800"])
            holder[key] = holder[key][:place] + more + holder[key][place + source.randrange(2) :]
        case 5:
            holder[key] = [holder[key]]
        case _:
            holder[key] = copy.deepcopy(source.choice(ODD))
