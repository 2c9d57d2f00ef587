"""Canonical JSON: one value, one sequence of bytes, so that a digest can cover it.

UTF-8, object keys sorted by code point, no white space, text unescaped where JSON allows it, no NaN
or infinity. FORMAT.md fixes how numbers are written. A reader accepts a text only if writing its
value again gives the same bytes; that refuses double keys, white space, other spellings of numbers,
and text that is not valid Unicode.
"""

import json
from collections.abc import Mapping
from typing import TypeAlias

__all__ = ["Json", "JsonObject", "canonical", "joined", "parse_canonical", "parse_parts"]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]

_ENCODER = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
)


def canonical(value: Json) -> bytes:
    """Write a value as canonical JSON, UTF-8, without a final newline.

    Raises:
        ValueError: NaN, infinity, or text that is no valid Unicode.
    """
    return _ENCODER.encode(value).encode("utf-8")


def parse_canonical(text: bytes) -> Json:
    """Read canonical JSON.

    Raises:
        ValueError: the text is no JSON, or JSON that is not canonical.
    """
    return parse_parts(text)[0]


def parse_parts(text: bytes) -> tuple[Json, dict[str, bytes]]:
    """Read canonical JSON, and keep the text of each member, because a digest may cover only that.

    Returns:
        The value; if it is an object, the canonical text of the value of each key.

    Raises:
        ValueError: the text is no JSON, or JSON that is not canonical.
    """
    parts: dict[str, bytes] = {}
    try:
        value: Json = json.loads(text.decode("utf-8"))
        if isinstance(value, dict):
            parts = {key: canonical(one) for key, one in value.items()}
        again = joined(parts) if isinstance(value, dict) else canonical(value)
    except RecursionError:
        raise ValueError("JSON nested too deep") from None
    except ValueError as error:
        raise ValueError(f"not canonical JSON ({error})") from None
    if again != text:
        raise ValueError(
            f"not canonical JSON ({len(text)} bytes found, {len(again)} expected, or other order)"
        )
    return value, parts


def joined(parts: Mapping[str, bytes]) -> bytes:
    """Write an object as canonical JSON from the canonical text of the value of each key.

    Raises:
        ValueError: a key that is no valid Unicode.
    """
    members = (b"%b:%b" % (canonical(key), parts[key]) for key in sorted(parts))
    return b"{%b}" % b",".join(members)
